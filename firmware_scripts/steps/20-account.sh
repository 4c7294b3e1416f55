# shellcheck shell=bash
# account: the user leukoscope, without a login, in the groups of cameras (video) and of the Coral (plugdev), and its folder

account_check() { :; }

account_do() {
  if ! grep -q "^$ACCOUNT:" "$ROOT/etc/passwd" 2> /dev/null; then
    [ "$DRY_RUN" = yes ] || require_inside
    act "add the user $ACCOUNT, without login and password" in_root useradd --system --user-group \
      --home-dir "$DATA" --no-create-home --shell /usr/sbin/nologin --comment "Leukoscope" "$ACCOUNT"
    remember user "$ACCOUNT"
  fi
  local group
  for group in video plugdev render; do
    grep -q "^$group:" "$ROOT/etc/group" 2> /dev/null || continue # no such group, no such devices
    ! member_of "$group" || continue
    act "add $ACCOUNT to the group $group" in_root usermod --append --groups "$group" "$ACCOUNT"
  done
  put_folder "$DATA" 750 "$ACCOUNT:$ACCOUNT"
}

member_of() {
  awk -F : -v group="$1" -v name="$ACCOUNT" '$1 == group && index("," $4 ",", "," name ",") {found = 1} END {exit !found}' \
    "$ROOT/etc/group"
}

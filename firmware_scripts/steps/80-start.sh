# shellcheck shell=bash
# start: the new units and rules are read, and the service is started, or restarted where something changed

start_check() { :; }

export FIRST_SECRET=""

start_do() {
  if ! systemd_runs; then
    say "  no systemd runs in ${ROOT:-/}: the service is enabled and starts with the machine"
    remove_old_environments
    return 0
  fi
  [ "$START" = no ] || issue_first_secret
  if [ "$CHANGES" -gt 0 ]; then
    act "let systemd and udev read what is new" read_anew
    [ "$START" = no ] || act "restart the service" systemctl restart leukoscope.target leukoscope.service
  elif [ "$START" = yes ] && ! systemctl --quiet is-active leukoscope.service; then
    act "start the service" systemctl start leukoscope.target leukoscope.service
  fi
  remove_old_environments
  [ "$START" = yes ] && [ "$DRY_RUN" = no ] || return 0
  systemctl --quiet is-active leukoscope.service ||
    fail "step start: leukoscope.service does not come up; look: systemctl status leukoscope; journalctl -u leukoscope -n 30"
  [ "$PAGE" = no ] || ! page_is_set || await_page
}

# A page that others reach does not start before somebody can log in. With an account there it is refused, and not needed.
issue_first_secret() {
  [ "$PAGE" = yes ] && page_is_set || return 0
  [ ! -e "$DATA/page/access.sqlite" ] || ! systemctl --quiet is-active leukoscope-page.service || return 0
  [ "$DRY_RUN" = yes ] || FIRST_SECRET=$(as_page "$PREFIX/venv/bin/edge" page --first-secret 2> /dev/null) || return 0
  act "issue the first login of the page" true
}

as_page() {
  setpriv --reuid "$PAGE_ACCOUNT" --regid "$PAGE_ACCOUNT" --init-groups --no-new-privs \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$PAGE_DATA" LANG=C.UTF-8 TERM="${TERM:-}" PYTHONNOUSERSITE=1 "$@"
}

await_page() {
  local waited=0
  until systemctl --quiet is-active leukoscope-page.service; do
    waited=$((waited + 1))
    [ "$waited" -le 60 ] ||
      fail "step start: leukoscope-page.service does not come up; look: systemctl status leukoscope-page; journalctl -u leukoscope-page -n 30"
    sleep 1
  done
}

read_anew() {
  systemctl daemon-reload
  systemctl try-restart systemd-journald.service
  if command -v udevadm > /dev/null && systemctl --quiet is-active systemd-udevd.service; then
    udevadm control --reload && udevadm trigger --subsystem-match=video4linux --subsystem-match=usb --action=change || true
  fi
}

# Only once nothing runs from them any more.
remove_old_environments() {
  local link folder
  link=$(readlink "$ROOT$PREFIX/venv" 2> /dev/null || true)
  [ -n "$link" ] || return 0
  for folder in "$ROOT$PREFIX"/venvs/*; do
    [ -d "$folder" ] && [ "venvs/$(basename "$folder")" != "$link" ] || continue
    act "remove the environment before: ${folder#"$ROOT"}" rm -rf "$folder"
    forget environment "${folder#"$ROOT"}"
  done
}

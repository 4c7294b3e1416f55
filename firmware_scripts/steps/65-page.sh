# shellcheck shell=bash
# page: with --page, the bench page: its account and folder, its unit, the instrument's socket; name and kiosk where asked for

PRIVATE_NETS=(10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 fc00::/7 fe80::/10)

page_check() {
  local net
  if [ -n "$PAGE_HOST" ]; then
    case $PAGE_HOST in
      *[!0-9a-fA-F.:]* | *.*.*.*.*) refuse "--page-host must be an address of this machine, or 0.0.0.0; got '$PAGE_HOST'" ;;
      *.*.*.* | *:*:*) ;;
      *) refuse "--page-host must be an address of this machine, or 0.0.0.0; got '$PAGE_HOST'" ;;
    esac
  fi
  [ ${#PAGE_ALLOW[@]} -eq 0 ] || [ -n "$PAGE_HOST" ] || refuse "--page-allow belongs to --page-host"
  for net in ${PAGE_ALLOW[@]+"${PAGE_ALLOW[@]}"}; do
    case $net in
      any | *[!0-9a-fA-F.:/]* | */*/* | */) refuse "--page-allow must be an address or a network such as 192.168.4.0/24; got '$net'" ;;
      *.*.*.* | *:*:*) ;;
      *) refuse "--page-allow must be an address or a network such as 192.168.4.0/24; got '$net'" ;;
    esac
  done
  [ "$MDNS" = no ] || [ -n "$PAGE_HOST" ] || refuse "--mdns belongs to --page-host: the name is of no use to this machine alone"
}

page_do() {
  [ "$PAGE" = yes ] || { say "  not asked for"; return 0; }
  remembered page "$PAGE_ACCOUNT" || remember page "$PAGE_ACCOUNT"
  page_account
  put_folder "$DATA/page" 700 "$PAGE_ACCOUNT:$PAGE_ACCOUNT"
  put_link "$PAGE_DATA" "$DATA/page"
  let_group_read
  put_file "$HERE/systemd/leukoscope-page.service" /etc/systemd/system/leukoscope-page.service
  put_file "$HERE/page/instrument-socket.conf" /etc/systemd/system/leukoscope.service.d/page.conf
  if [ "$(systemd_version)" -ge 254 ]; then
    put_file "$HERE/page/back-off.conf" /etc/systemd/system/leukoscope-page.service.d/back-off.conf
  fi
  put_link /etc/systemd/system/leukoscope.target.wants/leukoscope-page.service /etc/systemd/system/leukoscope-page.service
  [ -z "$PAGE_HOST" ] || page_network
  [ "$MDNS" = no ] || page_name
  [ "$KIOSK" = no ] || page_kiosk
}

page_account() {
  if ! grep -q "^$PAGE_ACCOUNT:" "$ROOT/etc/passwd" 2> /dev/null; then
    [ "$DRY_RUN" = yes ] || require_inside
    act "add the user $PAGE_ACCOUNT, without login, cameras and USB" in_root useradd --system --user-group \
      --home-dir "$PAGE_DATA" --no-create-home --shell /usr/sbin/nologin --comment "Leukoscope's page" "$PAGE_ACCOUNT"
    remember user "$PAGE_ACCOUNT"
  fi
  in_group "$PAGE_ACCOUNT" "$ACCOUNT" ||
    act "add $PAGE_ACCOUNT to the group $ACCOUNT, which reads the record" in_root usermod --append --groups "$ACCOUNT" "$PAGE_ACCOUNT"
}

# in_group USER GROUP
in_group() {
  awk -F : -v name="$1" -v group="$2" '$1 == group && index("," $4 ",", "," name ",") {found = 1} END {exit !found}' "$ROOT/etc/group"
}

# A record that was begun by hand, under another umask, may be closed to the group; what the units write never is.
let_group_read() {
  local record=$ROOT$DATA/record
  [ -d "$record" ] || return 0
  [ -z "$(find "$record" ! -perm -g=r \( -type d -o -type f \) -print -quit)" ] ||
    act "let the group $ACCOUNT read the record" chmod -R g+rX,g-w "$record"
}

# Who may connect, for the unit; the same as a rule for a firewall, which is shown and not put into force.
page_network() {
  local nets=(${PAGE_ALLOW[@]+"${PAGE_ALLOW[@]}"})
  [ ${#nets[@]} -gt 0 ] || nets=("${PRIVATE_NETS[@]}")
  put_text /etc/systemd/system/leukoscope-page.service.d/network.conf < <(
    printf '# Written by install.sh --page-host: who may connect.\n[Service]\n'
    printf 'IPAddressAllow=%s\n' "${nets[@]}"
  )
  put_text "$PREFIX/page.nft" < <(page_rules "${nets[@]}")
  say "  a firewall of nftables lets the page through with: nft -f $PREFIX/page.nft"
}

# shellcheck disable=SC2153 # PAGE_PORT is set by lib.sh
page_rules() {
  local four="" six="" net
  for net in "$@"; do
    case $net in *:*) six=$six${six:+, }$net ;; *) four=$four${four:+, }$net ;; esac
  done
  printf '# The bench page: these may connect, nobody else. Load it with nft -f; it replaces what it loaded before.\n'
  printf 'table inet leukoscope_page\ndelete table inet leukoscope_page\ntable inet leukoscope_page {\n'
  printf '  chain input {\n    type filter hook input priority 0; policy accept;\n    tcp dport != %s accept\n' "$PAGE_PORT"
  printf '    iif "lo" accept\n'
  [ -z "$four" ] || printf '    ip saddr { %s } accept\n' "$four"
  [ -z "$six" ] || printf '    ip6 saddr { %s } accept\n' "$six"
  printf '    drop\n  }\n}\n'
}

page_name() {
  need_package avahi-daemon
  need_package avahi-utils
  put_file "$HERE/page/page-name.sh" "$PREFIX/page-name.sh" 755
  put_file "$HERE/page/avahi.service" /etc/avahi/services/leukoscope.service
  put_file "$HERE/systemd/leukoscope-name.service" /etc/systemd/system/leukoscope-name.service
  put_link /etc/systemd/system/avahi-daemon.service.wants/leukoscope-name.service /etc/systemd/system/leukoscope-name.service
}

page_kiosk() {
  local scheme=http
  [ -z "$PAGE_HOST" ] || scheme=https
  need_package cage
  need_package openssl
  installed chromium-browser || need_package chromium
  if ! grep -q "^leukoscope-kiosk:" "$ROOT/etc/passwd" 2> /dev/null; then
    [ "$DRY_RUN" = yes ] || require_inside
    act "add the user leukoscope-kiosk, without login and groups" in_root useradd --system --user-group \
      --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin --comment "Leukoscope's screen" leukoscope-kiosk
    remember user leukoscope-kiosk
  fi
  put_file "$HERE/page/kiosk.sh" "$PREFIX/kiosk.sh" 755
  put_text /etc/systemd/system/leukoscope-kiosk.service < <(
    sed "s|@URL@|$scheme://127.0.0.1:$PAGE_PORT/|" "$HERE/page/leukoscope-kiosk.service"
  )
  put_link /etc/systemd/system/leukoscope.target.wants/leukoscope-kiosk.service /etc/systemd/system/leukoscope-kiosk.service
}

# need_package NAME: one that was asked for by a word, so its absence is an error.
need_package() {
  ! installed "$1" || return 0
  if [ "$DRY_RUN" = yes ]; then
    act "install by apt: $1" true
    return 0
  fi
  require_inside
  open_archive
  if [ -z "${PAGE_LISTS_READ:-}" ]; then
    act "read the archive's lists" patiently in_root "${APT[@]}" "${ARCHIVE[@]}" update
    PAGE_LISTS_READ=yes
  fi
  has_candidate "$1" || lacks "$1 is not in this archive${OFFLINE:+; collect it with collect.sh --package $1}"
  install_packages "$1"
}

# shellcheck shell=bash
# units: leukoscope.target with the service, the daily update and the daily retention, enabled

UNITS=(leukoscope.target leukoscope.service leukoscope-failed.service leukoscope-update.service leukoscope-update.timer
  leukoscope-retention.service leukoscope-retention.timer)

units_check() { :; }

units_do() {
  local unit version
  for unit in "${UNITS[@]}"; do put_file "$HERE/systemd/$unit" "/etc/systemd/system/$unit"; done
  put_file "$HERE/systemd/why-it-ended.sh" "$PREFIX/why-it-ended.sh" 755
  version=$(systemd_version)
  if [ "${version:-0}" -ge 254 ]; then
    put_file "$HERE/systemd/newer/back-off.conf" /etc/systemd/system/leukoscope.service.d/back-off.conf
  fi
  # What `systemctl enable` would do, also where no systemd runs.
  put_link /etc/systemd/system/multi-user.target.wants/leukoscope.target /etc/systemd/system/leukoscope.target
  for unit in leukoscope.service leukoscope-update.timer leukoscope-retention.timer; do
    put_link "/etc/systemd/system/leukoscope.target.wants/$unit" "/etc/systemd/system/$unit"
  done
}

systemd_version() {
  awk '/^Package: systemd$/ {on = 1} on && /^Version:/ {sub(/[^0-9].*/, "", $2); print $2; exit}' \
    "$ROOT/var/lib/dpkg/status" 2> /dev/null || true
}

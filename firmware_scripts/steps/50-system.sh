# shellcheck shell=bash
# system: device rules, journal in memory, hardware watchdog, a saved clock, drivers, and no access times on the card

system_check() { :; }

system_do() {
  put_file "$HERE/udev/70-leukoscope-coral.rules" /etc/udev/rules.d/70-leukoscope-coral.rules
  put_file "$HERE/udev/71-leukoscope-cameras.rules" /etc/udev/rules.d/71-leukoscope-cameras.rules
  put_file "$HERE/config/journald.conf" /etc/systemd/journald.conf.d/50-leukoscope.conf
  put_file "$HERE/config/watchdog.conf" /etc/systemd/system.conf.d/50-leukoscope.conf
  put_file "$HERE/config/timesyncd.conf" /etc/systemd/timesyncd.conf.d/50-leukoscope.conf
  put_file "$HERE/config/modules.conf" /etc/modules-load.d/leukoscope.conf
  without_access_times
}

# noatime for / and /var/lib/leukoscope in fstab, where they stand there as a file system that keeps access times.
without_access_times() {
  local fstab=$ROOT/etc/fstab where aside
  [ -r "$fstab" ] || return 0
  aside=$(mktemp)
  for where in / "$DATA"; do
    awk -v where="$where" '$1 !~ /^#/ && $2 == where && $3 ~ /^(ext4|f2fs|btrfs)$/ && ("," $4 ",") !~ /,noatime,/ {
        found = 1; sub(/[^ \t]+/, "&"); $4 = $4 ",noatime"}
      {print} END {exit !found}' "$fstab" > "$aside" || continue
    act "mount $where without access times (fstab)" write_file "$aside" "$fstab" "$(stat -c %a "$fstab")"
    remember noatime "$where"
  done
  rm -f "$aside"
}

#!/usr/bin/env bash
# Makes the root file system read-only: what is written to it is gone at the next start. The record stays on its own partition.
#
# Usage: sudo firmware_scripts/read-only-root.sh enable|disable|status [WORDS]
#
# A card that is never written to in use does not wear and cannot be half-written when the plug is pulled. The package
# overlayroot lays a file system in memory over the root. /var/lib/leukoscope (record, bundles, saved time) must then
# be a file system of its own, or every verdict would be gone with the power: enable refuses where it is not.
#
#   enable           from the next start on
#   disable          from the next start on; then configuration, keys and software can be changed again
#   status           what is, and what will be at the next start
#
#   --data DEVICE    (enable) the partition for /var/lib/leukoscope, such as LABEL=leukoscope or UUID=...: ext4, made before;
#                    an entry in fstab mounts it. What is in the folder now is not copied
#   --root DIR       work on the root file system in DIR
#   --dry-run        print every action, do none; needs no root
#   --help
#
# Exit codes: 0 done; 1 an action failed; 2 the request is wrong; 4 this machine lacks something.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
watch_for_errors

WORD="" DEVICE=""
while [ $# -gt 0 ]; do
  case $1 in
    --data) value_of "$@"; DEVICE=$VALUE; shift 2 ;;
    --root) value_of "$@"; use_root "$VALUE"; shift 2 ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --help | -h) help_of "$0"; exit 0 ;;
    enable | disable | status) [ -z "$WORD" ] || unknown_word "$1"; WORD=$1; shift ;;
    *) unknown_word "$1" ;;
  esac
done
[ -n "$WORD" ] || refuse "read-only-root.sh needs a word: enable, disable or status"
[ -z "$DEVICE" ] || [ "$WORD" = enable ] || refuse "--data belongs to enable"
case $DEVICE in
  "" | LABEL=* | UUID=* | PARTUUID=* | /dev/*) ;;
  *) refuse "--data must be LABEL=..., UUID=..., PARTUUID=... or /dev/...; got '$DEVICE'" ;;
esac
case $DEVICE in *[[:space:]]*) refuse "--data must hold no blank; got '$DEVICE'" ;; esac

readonly SETTING=/etc/overlayroot.local.conf
has_own_partition() { awk -v where="$DATA" '$1 !~ /^#/ && $2 == where {found = 1} END {exit !found}' "$ROOT/etc/fstab" 2> /dev/null; }

status() {
  local now next
  now="can be written to"
  [ "$(findmnt --noheadings --output FSTYPE / 2> /dev/null || true)" != overlay ] || now="is read-only under an overlay in memory"
  next="can be written to"
  ! grep -qs '^overlayroot="tmpfs' "$ROOT$SETTING" || next="is read-only under an overlay in memory"
  if [ -z "$ROOT" ]; then say "now: the root file system $now"; fi
  say "at the next start: it $next"
  if has_own_partition; then say "$DATA has a partition of its own"; else say "$DATA has no partition of its own"; fi
}

if [ "$WORD" = status ]; then
  status
  exit 0
fi
need_root
if [ "$WORD" = disable ]; then
  say "What will be done: the root file system can be written to again from the next start on."
  STEP=overlay
  # Under the overlay, /etc is the layer in memory: the setting must be changed below it.
  if [ -z "$ROOT" ] && [ "$(findmnt --noheadings --output FSTYPE /)" = overlay ]; then
    command -v overlayroot-chroot > /dev/null || lacks "overlayroot-chroot is not there: apt install overlayroot"
    act "remove $SETTING below the overlay" overlayroot-chroot rm -f "$SETTING"
  elif [ -e "$ROOT$SETTING" ]; then
    act "remove $SETTING" rm -f "$ROOT$SETTING"
    forget file "$SETTING"
  fi
  tell_changes
  exit 0
fi

require_supported_system
[ -r "$ROOT/etc/fstab" ] || lacks "there is no /etc/fstab${ROOT:+ in $ROOT}"
has_own_partition || [ -n "$DEVICE" ] ||
  refuse "$DATA has no partition of its own, and every verdict would be gone with the power; make one and name it with --data"
installed overlayroot || lacks "the package overlayroot is not installed${ROOT:+ in $ROOT}: apt install overlayroot"
# overlayroot's script in the initramfs calls grep and more, which only busybox brings there; without it the start goes on
# with a root that can be written to.
installed busybox || installed busybox-static ||
  lacks "the package busybox is not installed${ROOT:+ in $ROOT}, and overlayroot needs it in the initramfs: apt install busybox; update-initramfs -u"
say "What will be done: from the next start on, what is written to the root file system stays in memory; $DATA stays on its partition."
STEP=partition
if ! has_own_partition; then
  ASIDE=$(mktemp)
  trap 'rm -f "$ASIDE"' EXIT
  {
    cat "$ROOT/etc/fstab"
    printf '%s %s ext4 defaults,noatime,nodev,nosuid,noexec,nofail,x-systemd.device-timeout=30s 0 2\n' "$DEVICE" "$DATA"
  } > "$ASIDE"
  act "mount $DEVICE on $DATA (fstab)" write_file "$ASIDE" "$ROOT/etc/fstab" "$(stat -c %a "$ROOT/etc/fstab")"
fi
STEP=overlay
# recurse=0: only the root is laid under the overlay; the record's partition and the firmware's stay as they are.
put_text "$SETTING" < <(printf 'overlayroot="tmpfs:recurse=0"\n')
STEP=clock
# Under the overlay timesyncd's saved time would be the day of the image. It is kept on the record's partition instead.
put_file "$HERE/config/saved-time.conf" /etc/systemd/system/systemd-timesyncd.service.d/50-leukoscope.conf
put_file "$HERE/config/remount.conf" /etc/systemd/system/systemd-remount-fs.service.d/50-leukoscope.conf
put_file "$HERE/config/root-below.service" /etc/systemd/system/leukoscope-root-below.service
put_link /etc/systemd/system/local-fs.target.wants/leukoscope-root-below.service /etc/systemd/system/leukoscope-root-below.service
tell_changes

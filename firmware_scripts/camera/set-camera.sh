#!/usr/bin/env bash
# Tells a Raspberry Pi's firmware which camera module is fitted, in its config.txt. Needed where it is not detected by itself.
#
# Usage: sudo firmware_scripts/camera/set-camera.sh CAMERA [WORDS]
#
# The block between two marks is written once and replaced the next time; what else stands in the file stays. The file
# is replaced in one rename. It takes effect at the next start; `edge doctor` then lists the camera.
#
# CAMERA is one of
#   auto       what the firmware detects by itself: v2, v3, HQ and global shutter modules of Raspberry Pi
#   v1         OV5647, the first camera module
#   v2         IMX219, camera module 2
#   v3         IMX708, camera module 3 (its lens focuses by itself: on a microscope take it off)
#   hq         IMX477, the high quality camera (C mount)
#   gs         IMX296, the global shutter camera (C mount)
#   ai         IMX500, the AI camera
#   ov9281     OV9281, monochrome with global shutter: the networks were trained on colour, so every field is refused
#   imx290     IMX290 modules; their crystal has 37.125 MHz unless the maker says 74.25
#   imx327     IMX327 modules, likewise
#   imx462     IMX462 modules, likewise
#   none       no camera module: the block is removed
#
#   --port 0|1       the connector, on boards that have two (Pi 5, Compute Modules); the last one without this word
#   --config FILE    the config.txt (/boot/firmware/config.txt)
#   --dry-run        show the block, write nothing; needs no root
#   --help
#
# Exit codes: 0 done; 1 an action failed; 2 the request is wrong; 4 there is no such file.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=../lib.sh
. "$HERE/lib.sh"
watch_for_errors

readonly BEGIN="# leukoscope camera: begin (set-camera.sh)" END="# leukoscope camera: end"
CAMERA="" PORT="" FILE=/boot/firmware/config.txt
while [ $# -gt 0 ]; do
  case $1 in
    --port) value_of "$@"; PORT=$VALUE; shift 2 ;;
    --config) value_of "$@"; FILE=$VALUE; shift 2 ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --help | -h) help_of "$0"; exit 0 ;;
    -*) unknown_word "$1" ;;
    *) [ -z "$CAMERA" ] || unknown_word "$1"; CAMERA=$1; shift ;;
  esac
done
case $CAMERA in
  v1) OVERLAY=ov5647 ;;
  v2) OVERLAY=imx219 ;;
  v3) OVERLAY=imx708 ;;
  hq) OVERLAY=imx477 ;;
  gs) OVERLAY=imx296 ;;
  ai) OVERLAY=imx500 ;;
  ov9281) OVERLAY=ov9281 ;;
  imx290 | imx327 | imx462) OVERLAY=$CAMERA,clock-frequency=37125000 ;;
  auto | none) OVERLAY="" ;;
  "") refuse "set-camera.sh needs a CAMERA; --help lists them" ;;
  *) refuse "set-camera.sh does not know the camera '$CAMERA'; --help lists them" ;;
esac
case $PORT in
  "" | 0 | 1) ;;
  *) refuse "--port must be 0 or 1; got '$PORT'" ;;
esac
[ -z "$PORT" ] || [ -n "$OVERLAY" ] || refuse "--port belongs to a named camera, not to '$CAMERA'"
[ -r "$FILE" ] || lacks "there is no $FILE: this is no Raspberry Pi, or its boot partition is not mounted (--config names another)"
need_root

block() {
  [ "$CAMERA" != none ] || return 0
  # [all] ends any section for another board that the file may close with; the last setting of a key wins.
  printf '%s\n[all]\n' "$BEGIN"
  if [ "$CAMERA" = auto ]; then
    printf 'camera_auto_detect=1\n'
  else
    printf 'camera_auto_detect=0\ndtoverlay=%s%s\n' "$OVERLAY" "${PORT:+,cam$PORT}"
  fi
  printf '%s\n' "$END"
}

STEP=config
ASIDE=$(mktemp)
trap 'rm -f "$ASIDE"' EXIT
awk -v begin="$BEGIN" -v end="$END" '$0 == begin {skip = 1} !skip {print} $0 == end {skip = 0}' "$FILE" > "$ASIDE"
if grep -qxF "$BEGIN" "$FILE" && ! grep -qxF "$END" "$FILE"; then
  fail "$FILE holds the first mark of the camera's block and not the last: mend it by hand"
fi
[ ! -s "$ASIDE" ] || [ -z "$(tail -c 1 "$ASIDE")" ] || printf '\n' >> "$ASIDE"
block >> "$ASIDE"
if cmp -s "$ASIDE" "$FILE"; then
  say "$FILE says so already; nothing changed"
  exit 0
fi
say "What will be done: $FILE gets this block at its end, in place of an earlier one:"
block | sed 's/^/  /'
act "write $FILE" write_file "$ASIDE" "$FILE" "$(stat -c %a "$FILE")"
tell_changes
[ "$DRY_RUN" = yes ] || say "It takes effect at the next start: sudo reboot"

#!/usr/bin/env bash
# Makes a 64-bit Raspberry Pi OS or Debian (bookworm or trixie) the instrument: software, account, configuration, units.
#
# Usage: sudo firmware_scripts/install.sh [WORDS]
#
# It says first what it will do, looks before each action and acts only where something differs, so a second run
# changes nothing. It stops at the first error and names the step. What it changed stands in /opt/leukoscope/changes.tsv;
# uninstall.sh undoes that.
#
#   --camera URI          picamera2:0, uvc:/dev/video0, replay:/PATH or sim: (a drawn slide, the default); written into a
#                         new /etc/leukoscope/edge.toml; one that exists is never touched
#   --site NAME           name of this laboratory: only bundles that it accepted run here (`convert accept`); written into a
#                         new /etc/leukoscope/edge.toml. Left out, a terminal is asked; "none" names no laboratory
#   --study               with --site: bundles that it did not accept run too, and every verdict says so
#   --trust FILE.pub      a public key whose signature on a bundle counts; may be given several times
#   --bundle SIGNED       a signed bundle (folder or zip) to serve, put in by `edge update`
#   --tuf-root FILE       the root of trust of an update repository
#   --update-source URL   where the daily update looks; written into a new /etc/leukoscope/edge.toml, likewise
#   --page                the bench page as well (`edge page`): its packages, its account, its unit. Served to this machine
#                         alone. Once it is there, later runs keep it without the word
#   --page-host ADDRESS   with it: served to the network, at this address of the machine or at all of them (0.0.0.0), with TLS
#                         and a login; written into a new /etc/leukoscope/edge.toml
#   --page-allow NET      with --page-host: who may connect, such as 192.168.4.0/24; may be given several times; private
#                         addresses when left out
#   --mdns                with --page-host: the name leukoscope-XXXX.local, by avahi-daemon
#   --kiosk               with --page: a screen on this machine shows it, by cage and Chromium
#   --offline FOLDER      take every package from a folder that offline/collect.sh made: no network is used
#   --digest HEX          the sha256 of that folder's SHA256SUMS, as collect.sh printed it
#   --root DIR            work on the root file system in DIR and start nothing: for images
#   --steps A,B           only these steps (names below)
#   --no-start            enable the service and do not start it
#   --first-verdict       end by showing a stored verdict; a drawn slide is judged where there is none yet
#   --dry-run             print every action, do none; needs no root
#   --help
#
# Exit codes: 0 done; 1 an action failed; 2 the request is wrong; 4 this machine lacks something.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
SOURCES=$(dirname "$HERE")
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$HERE/lib.sh"
watch_for_errors

CAMERA="" SITE="" STUDY=no BUNDLE="" TUF_ROOT="" UPDATE_SOURCE="" OFFLINE="" DIGEST="" ONLY="" START=yes FIRST_VERDICT=no
PAGE=no PAGE_HOST="" MDNS=no KIOSK=no
TRUST=() PAGE_ALLOW=()
while [ $# -gt 0 ]; do
  case $1 in
    --camera | --site | --trust | --bundle | --tuf-root | --update-source | --offline | --digest | --root | --steps | --page-host | --page-allow)
      value_of "$@"
      case $1 in
        --camera) CAMERA=$VALUE ;;
        --site) SITE=$VALUE ;;
        --trust) TRUST+=("$VALUE") ;;
        --bundle) BUNDLE=$VALUE ;;
        --tuf-root) TUF_ROOT=$VALUE ;;
        --update-source) UPDATE_SOURCE=$VALUE ;;
        --offline) OFFLINE=$VALUE ;;
        --digest) DIGEST=$VALUE ;;
        --root) use_root "$VALUE" ;;
        --steps) ONLY=$VALUE ;;
        --page-host) PAGE_HOST=$VALUE ;;
        --page-allow) PAGE_ALLOW+=("$VALUE") ;;
      esac
      shift 2
      ;;
    --study) STUDY=yes; shift ;;
    --page) PAGE=yes; shift ;;
    --mdns) MDNS=yes; shift ;;
    --kiosk) KIOSK=yes; shift ;;
    --no-start) START=no; shift ;;
    --first-verdict) FIRST_VERDICT=yes; shift ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --help | -h) help_of "$0"; for step in "$HERE"/steps/*.sh; do sed -n '2s/^# /  step /p' "$step"; done; exit 0 ;;
    *) unknown_word "$1" ;;
  esac
done
[ "$PAGE" = yes ] || [ "$PAGE_HOST${PAGE_ALLOW[*]-}$MDNS$KIOSK" = nono ] ||
  refuse "--page-host, --page-allow, --mdns and --kiosk belong to --page"
if remembered page "$PAGE_ACCOUNT"; then PAGE=yes; fi # what is there stays
export PAGE PAGE_HOST MDNS KIOSK
export CAMERA SITE STUDY BUNDLE TUF_ROOT UPDATE_SOURCE OFFLINE DIGEST START FIRST_VERDICT SOURCES

# Each file of steps/ defines STEP_check (the request, nothing is changed) and STEP_do.
NAMES=()
for file in "$HERE"/steps/*.sh; do
  # shellcheck disable=SC1090
  . "$file"
  name=$(basename "$file" .sh)
  NAMES+=("${name#*-}")
done
CHOSEN=()
if [ -z "$ONLY" ]; then
  for name in "${NAMES[@]}"; do
    case $name in page | address) [ "$PAGE" = yes ] || continue ;; esac
    CHOSEN+=("$name")
  done
else
  for wanted in ${ONLY//,/ }; do
    case " ${NAMES[*]} " in
      *" $wanted "*) ;;
      *) refuse "--steps: there is no step '$wanted'; there are ${NAMES[*]}" ;;
    esac
  done
  for name in "${NAMES[@]}"; do # in their own order, whatever order was asked for
    case ",$ONLY," in *",$name,"*) CHOSEN+=("$name") ;; esac
  done
fi

STEP=check
for name in "${CHOSEN[@]}"; do "${name}_check"; done
need_root
require_supported_system
[ -z "$OFFLINE" ] || require_folder_for_this_system

say "Leukoscope on $(field "$ROOT/etc/os-release" PRETTY_NAME), $ARCHITECTURE, Python $PYTHON${ROOT:+, root file system $ROOT}${OFFLINE:+, from $OFFLINE}."
say "Research use only: no verdict is a diagnosis. What will be done:"
for name in "${CHOSEN[@]}"; do say "  $(sed -n '2s/^# //p' "$HERE"/steps/*-"$name".sh)"; done

WORK="" # for what must be reachable from inside the root file system
MOUNTED=""
clean_up() {
  if [ -n "$MOUNTED" ]; then umount "$MOUNTED"; fi
  if [ -n "$WORK" ]; then rm -rf "$WORK"; fi
}
trap clean_up EXIT
number=0
for name in "${CHOSEN[@]}"; do
  STEP=$name DOING="" number=$((number + 1))
  say "[$number/${#CHOSEN[@]}] $name"
  "${name}_do"
done
tell_changes

#!/usr/bin/env bash
# Undoes what install.sh did, from the list it kept, and nothing else.
#
# Usage: sudo firmware_scripts/uninstall.sh [WORDS]
#
# The service is stopped; units, rules, settings and the software go; files that stood there before come back. The record,
# the bundles, the configuration and the account stay, unless --purge says otherwise.
#
#   --purge       also the record and all else in /var/lib/leukoscope, /etc/leukoscope, and the account. There is no way back.
#   --packages    also the packages that apt brought for it
#   --root DIR    work on the root file system in DIR
#   --dry-run     print every action, do none; needs no root
#   --help
#
# Exit codes: 0 done; 1 an action failed; 2 the request is wrong; 4 this machine lacks something.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
watch_for_errors

PURGE=no PACKAGES=no
while [ $# -gt 0 ]; do
  case $1 in
    --purge) PURGE=yes; shift ;;
    --packages) PACKAGES=yes; shift ;;
    --root) value_of "$@"; use_root "$VALUE"; shift 2 ;;
    --dry-run) DRY_RUN=yes; shift ;;
    --help | -h) help_of "$0"; exit 0 ;;
    *) unknown_word "$1" ;;
  esac
done
need_root
if [ ! -e "$ROOT$MANIFEST" ]; then
  say "nothing to undo: there is no $MANIFEST${ROOT:+ in $ROOT}"
  exit 0
fi

say "What will be done: the service is stopped, and what install.sh changed is undone (${MANIFEST})."
if [ "$PURGE" = yes ]; then
  say "The record, the bundles, the configuration and the account go too: there is no way back."
else
  say "The record, the bundles, the configuration and the account stay (--purge removes them)."
fi

# Removes a file that is as it was written; one that was changed since stays, for somebody had a reason.
undo_file() {
  local path=$1 digest=$2
  [ -e "$ROOT$path" ] || return 0
  case $path in "$CONFIG"/*) [ "$PURGE" = yes ] || return 0 ;; esac
  if [ "$(digest_of "$ROOT$path")" != "$digest" ] && [ "$PURGE" = no ]; then
    say "  $path was changed since: left as it is"
    return 0
  fi
  act "remove $path" remove_file "$ROOT$path"
}

# With the folder of drop-ins or links that was made for it, if nothing else is in there.
remove_file() {
  rm -f "$1"
  case $1 in *.d/*.conf | *.target.wants/*) rmdir --ignore-fail-on-non-empty "$(dirname "$1")" ;; esac
}

undo_folder() {
  case $1 in
    "$DATA" | "$DATA"/* | "$CONFIG"*)
      [ "$PURGE" = yes ] && [ -d "$ROOT$1" ] || return 0
      act "remove the folder $1 with all that is in it" empty_folder "$ROOT$1"
      ;;
    *) [ ! -d "$ROOT$1" ] || act "remove the folder $1, if it is empty" rmdir --ignore-fail-on-non-empty "$ROOT$1" ;;
  esac
}

# The folder of the record may be a file system of its own: then it is emptied and stays.
empty_folder() {
  if mountpoint --quiet "$1" 2> /dev/null; then
    find "$1" -mindepth 1 -xdev -delete
  else
    rm -rf "${1:?}"
  fi
}

undo_noatime() {
  local fstab=$ROOT/etc/fstab aside
  [ -r "$fstab" ] || return 0
  aside=$(mktemp)
  awk -v where="$1" '$1 !~ /^#/ && $2 == where {sub(/,noatime/, "", $4)} {print}' "$fstab" > "$aside"
  cmp -s "$aside" "$fstab" || act "take noatime from $1 (fstab)" write_file "$aside" "$fstab" "$(stat -c %a "$fstab")"
  rm -f "$aside"
}

undo() {
  local kind=$1 path=$2 detail=$3
  case $kind in
    file) undo_file "$path" "$detail" ;;
    kept) [ ! -e "$ROOT$detail" ] || act "put back $path as it was before" mv "$ROOT$detail" "$ROOT$path" ;;
    link) [ "$(readlink "$ROOT$path" 2> /dev/null || true)" != "$detail" ] || act "remove $path" remove_file "$ROOT$path" ;;
    folder) undo_folder "$path" ;;
    environment) [ ! -d "$ROOT$path" ] || act "remove $path" rm -rf "${ROOT}${path:?}" ;;
    user) [ "$PURGE" = no ] || ! grep -q "^$path:" "$ROOT/etc/passwd" || act "remove the user $path" in_root userdel "$path" ;;
    noatime) undo_noatime "$path" ;;
    package | looked-for | page) ;;
    *) say "  not known to this version, left: $kind $path" ;;
  esac
}

STEP=service
if systemd_runs; then
  act "stop the service" systemctl stop leukoscope.target leukoscope.service leukoscope-update.timer leukoscope-retention.timer # the page is part of the target
fi
STEP=files
while IFS=$'\t' read -r kind path detail; do
  case $kind in "#"* | "") continue ;; esac
  undo "$kind" "$path" "$detail"
done < <(tac "$ROOT$MANIFEST")
STEP=packages
mapfile -t brought < <(awk -F '\t' '$1 == "package" {print $2}' "$ROOT$MANIFEST")
if [ ${#brought[@]} -gt 0 ]; then
  if [ "$PACKAGES" = yes ]; then
    act "remove the packages that apt brought: ${brought[*]}" patiently in_root "${APT[@]}" purge "${brought[@]}"
  else
    say "  ${#brought[@]} packages that apt brought stay (--packages removes them)"
  fi
fi
STEP="list of changes"
# What stayed is still listed, so that a later --purge finds it.
keep_list() {
  awk -F '\t' -v packages="$PACKAGES" '$1 == "user" || $1 == "folder" || ($1 == "file" && $2 ~ "^/etc/leukoscope/") ||
    ($1 == "package" && packages == "no") || /^#/' "$ROOT$MANIFEST" > "$ROOT$MANIFEST.new"
  mv "$ROOT$MANIFEST.new" "$ROOT$MANIFEST"
}
forget_all() {
  rm -f "$ROOT$MANIFEST"
  rmdir --ignore-fail-on-non-empty "$ROOT$PREFIX/venvs" "$ROOT$PREFIX" 2> /dev/null || true
}
if [ "$DRY_RUN" = no ]; then
  if [ "$PURGE" = yes ]; then forget_all; else keep_list; fi
fi
if systemd_runs; then act "let systemd read what is left" systemctl daemon-reload; fi
tell_changes

# shellcheck shell=bash
# What the scripts of this folder share: words to the user, actions that are done once, and the list of what was changed.
# Sourced, never run. Every action looks first and acts only where something differs, so a second run changes nothing.

# Exit codes, as of every command of the project: 0 done, 1 the answer is no, 2 wrong request, 4 the machine lacks something.
ROOT=${ROOT:-}   # "" is this machine; else the folder of a root file system, without a slash at the end
DRY_RUN=${DRY_RUN:-no}
STEP=start       # named when something fails
CHANGES=0
DOING=""         # the action under way, for the same purpose

readonly PREFIX=/opt/leukoscope
readonly MANIFEST=$PREFIX/changes.tsv
readonly CONFIG=/etc/leukoscope
readonly DATA=/var/lib/leukoscope
readonly ACCOUNT=leukoscope
# The bench page's: an account of its own, and its folder, a link to one in $DATA, which has a partition of its own where
# the root is read-only.
readonly PAGE_ACCOUNT=leukoscope-page
readonly PAGE_DATA=/var/lib/leukoscope-page
readonly PAGE_PORT=8443
PAGE=${PAGE:-no}
export CONFIG DATA ACCOUNT PAGE_ACCOUNT PAGE_DATA PAGE_PORT

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }

# die CODE MESSAGE: one line to the user, and the end.
die() {
  local code=$1
  shift
  trap - ERR
  note "error: $*"
  exit "$code"
}

fail() { die 1 "$@"; }
refuse() { die 2 "$@"; }
lacks() { die 4 "$@"; }

# The trap of every script: which step, which action, and that a second run goes on from there.
stopped() {
  local code=$1
  trap - ERR
  note "error: step ${STEP}: ${DOING:-an action} failed (exit code ${code}). Nothing after it was done; mend it and run the same command again."
  exit 1
}

watch_for_errors() {
  set -E
  trap 'stopped $?' ERR
  umask 022
}

# The text between "# Usage" and the first line that is no comment, without the marks.
help_of() { awk '/^# Usage/ {on = 1} on && !/^#/ {exit} on {sub(/^# ?/, ""); print}' "$1"; }

unknown_word() { refuse "$(basename "$0") does not know '$1'; --help lists its words"; }

# value_of OPTION [VALUE]: VALUE, or the end where it is missing or looks like the next option.
value_of() {
  case ${2:-} in
    "" | --*) refuse "$1 needs a value; --help says which" ;;
    *) export VALUE=$2 ;;
  esac
}

need_root() {
  [ "$DRY_RUN" = yes ] || [ "$(id -u)" -eq 0 ] ||
    refuse "$(basename "$0") changes the system and must run as root: sudo $0 (--dry-run does not need it)"
}

# need_tool PROGRAM PACKAGE
need_tool() {
  command -v "$1" > /dev/null || lacks "$1 is not installed here: apt install $2"
}

# An existing root file system, named by --root. A link is resolved, so that no path can leave it by name.
use_root() {
  [ -d "$1" ] || refuse "--root must be a folder; got '$1'"
  ROOT=$(cd "$1" && pwd -P)
  [ "$ROOT" != / ] || ROOT=""
}

# Runs a command of the root file system, in it.
in_root() {
  if [ -z "$ROOT" ]; then "$@"; else chroot "$ROOT" "$@"; fi
}

# Runs one program and keeps what it says to itself, unless it fails: then its last lines are shown.
quietly() {
  local log code=0
  log=$(mktemp)
  "$@" > "$log" 2>&1 || code=$?
  [ "$code" -eq 0 ] || tail -n 20 "$log" >&2
  rm -f "$log"
  return "$code"
}

# Another apt may be at work: apt-daily reads lists and downloads at the first start. apt itself waits for dpkg's lock
# (DPkg::Lock::Timeout), not for those of the lists and of the downloads; patiently waits for them.
readonly LOCK_PATIENCE_S=${LOCK_PATIENCE_S:-900}
APT=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 apt-get -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0
  -o Dpkg::Options::=--force-confold -o "DPkg::Lock::Timeout=${LOCK_PATIENCE_S}")
export APT

# patiently COMMAND...: quietly, and again while it ends because another process holds a lock of apt's.
patiently() {
  local log code told="" end=$((SECONDS + LOCK_PATIENCE_S))
  log=$(mktemp)
  while :; do
    code=0
    "$@" > "$log" 2>&1 || code=$?
    [ "$code" -ne 0 ] && [ "$SECONDS" -lt "$end" ] &&
      grep -q 'Could not get lock\|frontend lock was locked by another process' "$log" || break
    [ -n "$told" ] || say "  waiting for another apt to end ($(grep -o '[Cc]ould not get lock.*\|[^ ]* lock was locked.*' "$log" | head -n 1))"
    told=yes
    sleep 5
  done
  [ "$code" -eq 0 ] || tail -n 20 "$log" >&2
  rm -f "$log"
  return "$code"
}

# Whether systemd runs here as the first process, so that units can be started and not only enabled.
systemd_runs() { [ -z "$ROOT" ] && [ -d /run/systemd/system ]; }

# act "what is done" COMMAND...: says it, counts it, and does it unless this is a rehearsal.
act() {
  DOING=$1
  shift
  CHANGES=$((CHANGES + 1))
  if [ "$DRY_RUN" = yes ]; then
    say "  would ${DOING}"
    return 0
  fi
  say "  ${DOING}"
  "$@"
}

# remember KIND PATH [DETAIL]: a line of the list of changes, which uninstall.sh undoes from the last to the first.
remember() {
  [ "$DRY_RUN" = yes ] && return 0
  local list=$ROOT$MANIFEST line
  line=$(printf '%s\t%s\t%s' "$1" "$2" "${3:-}")
  mkdir -p "$(dirname "$list")"
  [ -e "$list" ] || printf '# What install.sh changed: kind, path, detail. uninstall.sh reads it.\n' > "$list"
  if grep -qF "$(printf '%s\t%s\t' "$1" "$2")" "$list"; then
    awk -F '\t' -v kind="$1" -v path="$2" -v line="$line" '$1 == kind && $2 == path {print line; next} {print}' \
      "$list" > "$list.new"
    mv "$list.new" "$list"
  else
    printf '%s\n' "$line" >> "$list"
  fi
}

remembered() { [ -e "$ROOT$MANIFEST" ] && grep -qF "$(printf '%s\t%s\t' "$1" "$2")" "$ROOT$MANIFEST"; }

# forget KIND PATH
forget() {
  [ "$DRY_RUN" = no ] && remembered "$1" "$2" || return 0
  awk -F '\t' -v kind="$1" -v path="$2" '!($1 == kind && $2 == path)' "$ROOT$MANIFEST" > "$ROOT$MANIFEST.new"
  mv "$ROOT$MANIFEST.new" "$ROOT$MANIFEST"
}

digest_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# put_folder PATH MODE OWNER: owner is user:group of the root file system.
put_folder() {
  local path=$1 mode=$2 owner=$3
  if [ -d "$ROOT$path" ] && [ "$(stat -c %a "$ROOT$path")" = "$mode" ] &&
    [ "$(stat -c %u:%g "$ROOT$path")" = "$(numbers_of "$owner")" ]; then
    return 0
  fi
  [ -d "$ROOT$path" ] || local new=yes
  act "make the folder $path ($owner, $mode)" make_folder "$path" "$mode" "$owner"
  [ "${new:-no}" = no ] || remember folder "$path"
}

make_folder() {
  mkdir -p "$ROOT$1"
  chown "$(numbers_of "$3")" "$ROOT$1"
  chmod "$2" "$ROOT$1"
}

# user:group as numbers, read from the root file system's own lists: this machine may know other ones.
numbers_of() {
  local user=${1%%:*} group=${1##*:} uid gid
  [ "$1" = root:root ] && { echo 0:0; return 0; }
  uid=$(awk -F : -v name="$user" '$1 == name {print $3}' "$ROOT/etc/passwd" 2> /dev/null || true)
  gid=$(awk -F : -v name="$group" '$1 == name {print $3}' "$ROOT/etc/group" 2> /dev/null || true)
  echo "${uid:-none}:${gid:-none}"
}

# put_file SOURCE PATH [MODE]: a file of root's. One that is there with other words is kept as PATH.before-leukoscope,
# unless it was written by an earlier install; it is replaced in one rename, so a cut-off power cord leaves one of the two.
put_file() {
  local source=$1 path=$2 mode=${3:-644} target=$ROOT$2
  if [ -f "$target" ] && cmp -s "$source" "$target" && [ "$(stat -c %a "$target")" = "$mode" ]; then return 0; fi
  if [ -e "$target" ] && ! remembered file "$path"; then
    act "keep $path as $path.before-leukoscope" cp -p "$target" "$target.before-leukoscope"
    remember kept "$path" "$path.before-leukoscope"
  fi
  act "write $path" write_file "$source" "$target" "$mode"
  remember file "$path" "$(digest_of "$source")"
}

write_file() {
  mkdir -p "$(dirname "$2")"
  local aside=$2.leukoscope-new
  cat "$1" > "$aside"
  chmod "$3" "$aside"
  sync -d "$aside" 2> /dev/null || true # a file system that cannot is no reason to stop
  mv "$aside" "$2"
}

# put_text PATH [MODE]: put_file of what comes on standard input.
put_text() {
  local aside
  aside=$(mktemp)
  cat > "$aside"
  put_file "$aside" "$@"
  rm -f "$aside"
}

# put_link PATH TARGET
put_link() {
  if [ "$(readlink "$ROOT$1" 2> /dev/null || true)" = "$2" ]; then return 0; fi
  if [ -e "$ROOT$1" ] && [ ! -L "$ROOT$1" ]; then
    say "  $1 is there and is not ours: left as it is"
    return 0
  fi
  act "link $1 -> $2" switch_link "$ROOT$1" "$2"
  remember link "$1" "$2"
}

# A link is switched by rename: at every moment there is the old one or the new one.
switch_link() {
  mkdir -p "$(dirname "$1")"
  ln -sfn "$2" "$1.leukoscope-new"
  mv -T "$1.leukoscope-new" "$1"
}

# field FILE KEY: a value of an os-release file.
field() { sed -n "s/^$2=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$1" | head -n 1; }

# Sets RELEASE, ARCHITECTURE and PYTHON of the root file system, or ends: one line, exit code 4.
require_supported_system() {
  local file=$ROOT/etc/os-release id name python
  [ -r "$file" ] || lacks "no /etc/os-release: this is no Raspberry Pi OS and no Debian that the scripts know"
  id=$(field "$file" ID)
  RELEASE=$(field "$file" VERSION_CODENAME)
  name=$(field "$file" PRETTY_NAME)
  # The processor may be 64-bit under a 32-bit system: what dpkg installs is what counts.
  ARCHITECTURE=$(awk '/^Package: dpkg$/ {on = 1} on && /^Architecture:/ {print $2; exit}' \
    "$ROOT/var/lib/dpkg/status" 2> /dev/null || true)
  case $ARCHITECTURE in
    arm64 | amd64) ;;
    "") lacks "no list of Debian packages in ${ROOT:-/}: this is no Raspberry Pi OS and no Debian" ;;
    *) lacks "this system is 32-bit or unknown ($ARCHITECTURE): the interpreter's wheels are 64-bit only; flash the 64-bit Raspberry Pi OS" ;;
  esac
  case $id:$RELEASE in
    debian:bookworm) PYTHON=3.11 ;;
    debian:trixie) PYTHON=3.13 ;;
    *) lacks "${name:-this system} is not supported: Raspberry Pi OS or Debian, bookworm (Python 3.11) or trixie (Python 3.13), is" ;;
  esac
  python=$(readlink "$ROOT/usr/bin/python3" 2> /dev/null || true)
  python=${python##*/}
  case $python in
    "" | "python$PYTHON") ;; # a bare system gets its Python in the step "packages"
    *) lacks "/usr/bin/python3 is ${python#python}: no wheels are locked for it; $RELEASE's own Python $PYTHON is needed" ;;
  esac
  export RELEASE ARCHITECTURE PYTHON
}

# Whether dpkg of the root file system has a package installed.
installed() {
  awk -v want="$1" '/^Package: / {name = $2} /^Status: / && name == want && $0 ~ / installed$/ {found = 1}
    END {exit !found}' "$ROOT/var/lib/dpkg/status"
}

# Whether the profile has the sections of the bench page; whoever pasted them may have kept the blanks in front.
page_is_set() {
  grep -q '^[[:space:]]*\[bench\]' "$ROOT$CONFIG/edge.toml" && grep -q '^[[:space:]]*\[page\]' "$ROOT$CONFIG/edge.toml"
}

# The closing line of every script that changes something.
tell_changes() {
  if [ "$DRY_RUN" = yes ]; then
    say "rehearsal: $CHANGES actions would be done, none was"
  elif [ "$CHANGES" -eq 0 ]; then
    say "nothing changed: all of it was so already"
  else
    say "done: $CHANGES actions"
  fi
}

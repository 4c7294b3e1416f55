# shellcheck shell=bash
# configuration: /etc/leukoscope: the profile with camera and source of updates (never overwritten), trusted keys, root of trust

configuration_check() {
  local file
  if [ -z "$SITE" ] && [ ! -e "$ROOT$CONFIG/edge.toml" ] && [ "$DRY_RUN" = no ] && [ -t 0 ]; then ask_for_site; fi
  [ "$SITE" != none ] || SITE=""
  check_site
  case $CAMERA in
    "" | sim: | sim:* | uvc:/dev/* | replay:/*) ;;
    picamera2:*[!0-9]* | picamera2:) refuse "--camera picamera2:N needs a number, such as picamera2:0; got '$CAMERA'" ;;
    picamera2:*) ;;
    *) refuse "--camera must be picamera2:N, uvc:/dev/videoN, replay:/PATH or sim:; got '$CAMERA'" ;;
  esac
  case $CAMERA in
    *[\"\\]* | *[[:cntrl:]]*) refuse "--camera must hold no quotation mark, backslash or control character" ;;
  esac
  for file in ${TRUST[@]+"${TRUST[@]}"}; do check_public_key "$file"; done
  if [ -n "$TUF_ROOT" ]; then
    [ -r "$TUF_ROOT" ] && grep -q '"_type": *"root"' "$TUF_ROOT" ||
      refuse "--tuf-root must be the root.json of an update repository; got '$TUF_ROOT'"
    if [ -e "$ROOT$CONFIG/tuf/root.json" ] && ! cmp -s "$TUF_ROOT" "$ROOT$CONFIG/tuf/root.json"; then
      refuse "this machine trusts another update repository; remove $CONFIG/tuf/root.json by hand if that is to change"
    fi
  fi
  case $UPDATE_SOURCE in
    "" | https://* | /*) ;;
    *) refuse "--update-source must begin with https:// or be a whole path; got '$UPDATE_SOURCE'" ;;
  esac
  case $UPDATE_SOURCE in
    *[[:space:]\"\'\\\$]*) refuse "--update-source must hold no blank, quotation mark, backslash or \$" ;;
  esac
}

# Asked before anything is done; without a terminal nothing is asked, and no laboratory named.
ask_for_site() {
  local answer
  say "Name of this laboratory, such as lab-3: only bundles that it accepted run here. Enter alone names none."
  read -r -p "  site: " SITE || SITE=""
  [ -n "$SITE" ] && [ "$SITE" != none ] || return 0
  [ "$STUDY" = no ] || return 0
  read -r -p "  run others too, as a study, with \"not accepted\" on every verdict? [y/N] " answer || answer=""
  case $answer in [yY] | [yY][eE][sS]) STUDY=yes ;; esac
}

check_site() {
  if [ -z "$SITE" ]; then
    [ "$STUDY" = no ] || refuse "--study goes with --site: it lets bundles run that the named laboratory did not accept"
    return 0
  fi
  case $SITE in
    [!A-Za-z0-9]* | *[!A-Za-z0-9._-]*) refuse "--site must be 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit; got '$SITE'" ;;
  esac
  [ ${#SITE} -le 64 ] || refuse "--site must be 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit; got '$SITE'"
}

check_public_key() {
  [ -r "$1" ] || refuse "--trust: there is no file '$1'"
  ! grep -q 'PRIVATE KEY' "$1" || refuse "--trust: $1 is a private key; it must never leave the signer's machine. Give the .pub file"
  grep -q -e '-----BEGIN PUBLIC KEY-----' "$1" || refuse "--trust: $1 is no public key in PEM form"
  local there
  there=$ROOT$CONFIG/trusted/$(basename "$1" .pub).pub
  [ ! -e "$there" ] || cmp -s "$1" "$there" ||
    refuse "--trust: another key named $(basename "$there") is trusted already; give the new one another name"
}

configuration_do() {
  local file
  put_folder "$CONFIG" 755 root:root
  put_folder "$CONFIG/trusted" 755 root:root
  if [ ! -e "$ROOT$CONFIG/edge.toml" ]; then
    put_text "$CONFIG/edge.toml" < <(profile)
  else
    [ -z "$CAMERA" ] || stands_there "uri = \"$CAMERA\"" || say "  $CONFIG/edge.toml exists and is left as it is: set the camera there, under [camera]"
    [ -z "$UPDATE_SOURCE" ] || stands_there "source = \"$UPDATE_SOURCE\"" ||
      say "  $CONFIG/edge.toml exists and is left as it is: set the source there, under [update]"
    [ -z "$SITE" ] || stands_there "name = \"$SITE\"" ||
      say "  $CONFIG/edge.toml exists and is left as it is: set the site there, under [site]"
    [ "$PAGE" = no ] || tell_page_settings
  fi
  for file in ${TRUST[@]+"${TRUST[@]}"}; do put_file "$file" "$CONFIG/trusted/$(basename "$file" .pub).pub"; done
  if [ -n "$TUF_ROOT" ]; then
    put_folder "$CONFIG/tuf" 755 root:root
    put_file "$TUF_ROOT" "$CONFIG/tuf/root.json"
  fi
}

# A profile from before the page: what it lacks is said, for nobody but its owner changes it.
tell_page_settings() {
  ! page_is_set || return 0
  say "  $CONFIG/edge.toml exists and is left as it is. The page needs these lines there; then run this command again:"
  page_settings | sed 's/^/    /'
}

page_settings() {
  HOST=${PAGE_HOST:-127.0.0.1} awk '{gsub("@HOST@", ENVIRON["HOST"])} {print}' "$HERE/config/page.toml"
}

stands_there() { grep -qF "$1" "$ROOT$CONFIG/edge.toml"; }

# A drawn slide says so in every record and has nothing worth keeping; a camera's images are kept, one a second.
profile() {
  local kind=camera
  case $CAMERA in "" | sim:*) kind=drawn ;; esac
  local uri=${CAMERA:-sim:?fps=1}
  [ "$uri" != sim: ] || uri="sim:?fps=1"
  local update='# source = "https://updates.example.org/bundles"'
  [ -z "$UPDATE_SOURCE" ] || update="source = \"$UPDATE_SOURCE\""
  local site='# name = "lab-3"' study=""
  if [ -n "$SITE" ]; then
    site="name = \"$SITE\""
    [ "$STUDY" = no ] || study="study = true"
  fi
  URI=$uri UPDATE=$update SITE_LINE=$site STUDY_LINE=$study awk '/@CAMERA@/ {split($0, part, "@CAMERA@"); print part[1] ENVIRON["URI"] part[2]; next}
    /^@UPDATE@$/ {print ENVIRON["UPDATE"]; next}
    /^@SITE@$/ {print ENVIRON["SITE_LINE"]; if (ENVIRON["STUDY_LINE"]) print ENVIRON["STUDY_LINE"]; next} {print}' "$HERE/config/edge-$kind.toml"
  [ "$PAGE" = no ] || { echo && page_settings; }
}

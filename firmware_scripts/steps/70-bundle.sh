# shellcheck shell=bash
# bundle: the signed bundle that --bundle names becomes the one that is served, put in by `edge update` as any update is

bundle_check() {
  [ -z "$BUNDLE" ] && return 0
  [ -r "$BUNDLE" ] || refuse "--bundle must be a signed bundle, a folder or a zip file; got '$BUNDLE'"
  [ ! -d "$BUNDLE" ] || [ -r "$BUNDLE/manifest.sig" ] ||
    refuse "--bundle: $BUNDLE has no manifest.sig; \`convert sign\` makes one"
  BUNDLE=$(cd "$(dirname "$BUNDLE")" && pwd -P)/$(basename "$BUNDLE")
}

bundle_do() {
  if [ -z "$BUNDLE" ]; then
    if [ -e "$ROOT$DATA/bundles/current" ]; then
      say "  none was named: the slot in use goes on serving"
    elif holds_keys; then
      say "  none was named, and a machine that holds keys serves signed bundles alone: nothing is served until \`edge update\` brings one"
    else
      say "  none was named: the one that ships with the software is served"
    fi
    return 0
  fi
  ! served_already || return 0
  act "put in $BUNDLE (edge update)" put_in_bundle
}

holds_keys() { compgen -G "$ROOT$CONFIG/trusted/*.pub" > /dev/null || [ ${#TRUST[@]} -gt 0 ]; }

# A folder whose manifest is the one in use. A zip is given to `edge update` each time; it knows.
served_already() { [ -d "$BUNDLE" ] && cmp -s "$BUNDLE/manifest.json" "$ROOT$DATA/bundles/current/manifest.json"; }

put_in_bundle() {
  require_proc
  open_work
  rm -rf "$WORK/bundle"
  mkdir -m 755 "$WORK/bundle"
  cp -a "$BUNDLE" "$WORK/bundle/"
  chmod -R a+rX "$WORK/bundle"
  as_account "$PREFIX/venv/bin/edge" update "$INSIDE/bundle/$(basename "$BUNDLE")"
}

as_account() {
  in_root setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --init-groups --no-new-privs \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$DATA" STATE_DIRECTORY="$DATA" LANG=C.UTF-8 PYTHONNOUSERSITE=1 "$@"
}

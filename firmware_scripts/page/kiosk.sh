#!/bin/sh
# The browser of the kiosk, which shows LEUKOSCOPE_PAGE and nothing else. Run by leukoscope-kiosk.service inside cage.
set -eu
page=$LEUKOSCOPE_PAGE
folder=$RUNTIME_DIRECTORY
place=${page#*://}
place=${place%%/*}

key_of() {
  openssl s_client -connect "$place" < /dev/null 2> /dev/null | openssl x509 -pubkey -noout 2> /dev/null |
    openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64
}

browser=$(command -v chromium || command -v chromium-browser)
set -- --kiosk --no-first-run --disable-sync --disable-translate --disable-features=Translate,MediaRouter \
  --disable-component-update --disable-background-networking --no-default-browser-check --password-store=basic \
  --user-data-dir="$folder/browser" --ozone-platform=wayland
# The page's own certificate is signed by nobody: this browser takes the one that this machine serves now, and no other.
case $page in
  https:*)
    key=""
    while [ -z "$key" ]; do
      key=$(key_of) || key=""
      [ -n "$key" ] || sleep 1
    done
    set -- "$@" --ignore-certificate-errors-spki-list="$key"
    ;;
esac
exec "$browser" "$@" "$page"

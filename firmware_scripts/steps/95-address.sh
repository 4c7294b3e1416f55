# shellcheck shell=bash
# address: with the page, where it is found: by name and by number, with the certificate's fingerprint and a QR code

address_check() { :; }

address_do() {
  [ "$PAGE" = yes ] || { say "  no page, no address"; return 0; }
  if [ "$DRY_RUN" = yes ]; then
    act "show the page's address" true
    return 0
  fi
  if ! page_is_set; then
    say "  the page has no settings yet: see above"
    return 0
  fi
  [ -z "$ROOT" ] || { say "  this is no running machine: edge page --address shows it there"; return 0; }
  as_page "$PREFIX/venv/bin/edge" page --address
  if [ -n "$FIRST_SECRET" ]; then
    say "The first login of the page:"
    say "$FIRST_SECRET"
  else
    say "  a first login is given by: sudo -u $PAGE_ACCOUNT edge page --first-secret"
  fi
}

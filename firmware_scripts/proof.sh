#!/usr/bin/env bash
# Measures a board once, with everything that only hardware shows, into one file for docs/reference/boards/.
#
# Usage: sudo proof.sh --out FILE [options]
#   --out FILE            where the file goes (JSON); send it with the name of the board
#   --edge PROGRAM        the edge command; /opt/leukoscope/venv/bin/edge when left out
#   --config FILE         profile; /etc/leukoscope/edge.toml where it exists
#   --seconds N           for each camera's frames; 20 when left out
#   --load-seconds N      of inferences without a pause; 300 when left out
#   --allow-unsigned      measure with a bundle that no key trusted here signed
#   --relay COMMAND       cuts this board's power and gives it back some seconds later: a relay or a switched socket
#   --cuts N              how many times the power is cut, each in a run that records; 10 when left out
#   --state FOLDER        what must outlive the cuts; /var/lib/leukoscope-proof when left out
#   --resume              go on after a cut; the unit that is written for it says this word
#   --dry-run             say what would be done, do nothing
#   --help
#
# The service is stopped meanwhile and started again. Without --relay it takes some eight minutes and changes nothing
# else. With --relay a unit starts the script again after each cut, until all are counted; then unit and state go.
# Exit codes: 0 done, 1 something failed, 2 wrong request, 4 `edge doctor` misses something needed.

set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=lib.sh
. "$HERE/lib.sh"
watch_for_errors

EDGE=/opt/leukoscope/venv/bin/edge
STATE=/var/lib/leukoscope-proof
UNIT=/etc/systemd/system/leukoscope-proof.service
SERVICE=leukoscope.service
OUT="" RELAY="" CUTS=10 RESUME=no
WORDS=()
AFTER_CUT_S=${LEUKOSCOPE_PROOF_AFTER_CUT_S:-60} # without power long before; tests wait less

while [ $# -gt 0 ]; do
  case $1 in
    --out | --edge | --relay | --cuts | --state)
      value_of "$@"
      case $1 in
        --out) OUT=$VALUE ;;
        --edge) EDGE=$VALUE ;;
        --relay) RELAY=$VALUE ;;
        --cuts) CUTS=$VALUE ;;
        --state) STATE=$VALUE ;;
      esac
      shift 2
      ;;
    --config | --seconds | --load-seconds)
      value_of "$@"
      WORDS+=("$1" "$VALUE")
      shift 2
      ;;
    --allow-unsigned)
      WORDS+=("$1")
      shift
      ;;
    --resume)
      RESUME=yes
      shift
      ;;
    --dry-run)
      DRY_RUN=yes
      shift
      ;;
    --help | -h)
      help_of "$0"
      exit 0
      ;;
    *) unknown_word "$1" ;;
  esac
done

# The request of the first start, which a start after a cut reads again: one word a line.
read_request() {
  [ -r "$STATE/request" ] || refuse "--resume goes on with what --relay began; nothing is in $STATE"
  mapfile -t WORDS < "$STATE/request"
  OUT=${WORDS[0]} EDGE=${WORDS[1]} RELAY=${WORDS[2]} CUTS=${WORDS[3]}
  WORDS=("${WORDS[@]:4}")
}

check_request() {
  [ -n "$OUT" ] || refuse "proof.sh needs --out FILE; --help lists its words"
  [ -d "$(dirname "$OUT")" ] || refuse "--out must be in a folder that is there; got '$OUT'"
  case $OUT in /*) ;; *) OUT=$PWD/$OUT ;; esac
  case $CUTS in '' | *[!0-9]* | 0) refuse "--cuts must be a whole number, at least 1; got '$CUTS'" ;; esac
  command -v "$EDGE" > /dev/null || lacks "$EDGE is not there: run install.sh first, or name the command with --edge"
}

stop_service() {
  if systemd_runs && systemctl is-active --quiet "$SERVICE"; then
    act "stop $SERVICE, which holds camera and record" systemctl stop "$SERVICE"
    trap 'systemctl start "$SERVICE" || true' EXIT
  fi
}

measure() {
  local code=0
  DOING="measure this board"
  say "  $DOING"
  [ "$DRY_RUN" = no ] || return 0
  "$EDGE" doctor --proof "$OUT" "${WORDS[@]}" "$@" || code=$?
  [ "$code" -eq 0 ] || [ "$code" -eq 4 ] || fail "edge doctor --proof ended with $code"
  return "$code"
}

counted() { if [ -r "$STATE/cuts" ]; then wc -l < "$STATE/cuts"; else echo 0; fi; }

# A run that records drawn fields; each verdict that is printed is on the disk before the next is read.
begin_run() {
  mkdir -p "$STATE"
  "$EDGE" run --camera "sim:?fps=20" --every --keep none --json --store "$STATE/record" --allow-unsigned \
    > >(announce > /dev/null 2>&1) 2> "$STATE/run.log" &
  RUN=$!
}

announce() {
  local line
  while IFS= read -r line; do
    printf '%s\n' "$line" >> "$STATE/announced"
    sync -d "$STATE/announced"
  done
}

# After the cut: every verdict that was printed must be in the record, and the record must verify.
look_at_record() {
  [ -e "$STATE/cutting" ] || return 0
  local announced stored verify=0 report
  announced=$(sed -n 's/.*"field": \([0-9]*\).*/\1/p' "$STATE/announced" 2> /dev/null | tail -n 1)
  report=$("$EDGE" verify --store "$STATE/record" --json 2> "$STATE/verify.log") || verify=$?
  stored=$(printf '%s' "$report" | sed -n 's/.*"verdicts": \([0-9]*\).*/\1/p')
  printf '{"announced": %d, "stored": %d, "verify": %d}\n' "${announced:-0}" "${stored:-0}" "$verify" >> "$STATE/cuts"
  sync "$STATE/cuts"
  rm -f "$STATE/cutting"
  say "  cut $(counted) of $CUTS: ${announced:-0} printed, ${stored:-0} stored, edge verify ended with $verify"
}

printed() { if [ -r "$STATE/announced" ]; then wc -l < "$STATE/announced"; else echo 0; fi; }

# The run is under way once it has printed; a slow board takes its time for it.
wait_for_verdict() {
  local before=$1 i
  for ((i = 0; i < 600; i++)); do
    [ "$(printed)" -le "$before" ] || return 0
    kill -0 "$RUN" 2> /dev/null || break
    sleep 0.5
  done
  fail "the run to be cut printed no verdict: $(tail -n 1 "$STATE/run.log")"
}

cut_power() {
  local before
  before=$(printed)
  begin_run
  wait_for_verdict "$before"
  sleep "${LEUKOSCOPE_PROOF_RUN_S:-$((1 + RANDOM % 15))}"
  kill -0 "$RUN" 2> /dev/null || fail "the run to be cut ended by itself: $(tail -n 1 "$STATE/run.log")"
  touch "$STATE/cutting"
  sync
  say "  cut the power"
  bash -c "$RELAY" || fail "the relay's command failed: $RELAY"
  sleep "$AFTER_CUT_S"
  rm -f "$STATE/cutting"
  kill "$RUN" 2> /dev/null || true
  wait "$RUN" || true
  fail "the board is still on $AFTER_CUT_S s after the relay's command: nothing was cut"
}

write_unit() {
  printf '%s\n' "[Unit]" "Description=Leukoscope's proof of this board goes on after a power cut" \
    "After=multi-user.target" "" "[Service]" "Type=simple" "ExecStart=$HERE/proof.sh --resume --state $STATE" "" \
    "[Install]" "WantedBy=multi-user.target" > "$UNIT"
  systemctl daemon-reload
  systemctl enable --quiet leukoscope-proof.service
}

remove_unit() {
  [ -e "$UNIT" ] || return 0
  systemctl disable --quiet leukoscope-proof.service || true
  rm -f "$UNIT"
}

begin_cuts() {
  [ ! -e "$STATE" ] || refuse "$STATE is there, from a proof that did not end; remove it, or go on with --resume"
  mkdir -p "$STATE"
  printf '%s\n' "$OUT" "$EDGE" "$RELAY" "$CUTS" "${WORDS[@]}" > "$STATE/request"
  sync "$STATE/request"
}

STEP=request
[ "$RESUME" = no ] || read_request
check_request
need_root

STEP=service
stop_service

if [ -n "$RELAY" ]; then
  STEP="power cuts"
  if [ "$DRY_RUN" = yes ]; then
    say "  would cut the power $CUTS times with: $RELAY"
  else
    if [ "$RESUME" = no ]; then
      begin_cuts
      if systemd_runs; then write_unit; fi
    fi
    look_at_record
    [ "$(counted)" -ge "$CUTS" ] || cut_power
  fi
fi

STEP=measurements
code=0
if [ -n "$RELAY" ] && [ "$DRY_RUN" = no ]; then
  measure --power-cuts "$STATE/cuts" || code=$?
  remove_unit
  rm -rf "$STATE"
else
  measure || code=$?
fi
say "done: $OUT"
exit "$code"

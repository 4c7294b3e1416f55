# shellcheck shell=bash
# verdict: with --first-verdict, the latest stored verdict is shown; a drawn slide is judged where there is none

verdict_check() { :; }

verdict_do() {
  [ "$FIRST_VERDICT" = yes ] || { say "  not asked for"; return 0; }
  local shown
  if [ "$DRY_RUN" = yes ]; then
    act "show a stored verdict, and judge a drawn slide where there is none" true
    return 0
  fi
  shown=$(latest_verdict)
  if [ -z "$shown" ] && [ "$PAGE" = yes ] && systemd_runs && systemctl --quiet is-active leukoscope.service; then
    # At the bench nothing is judged until somebody opens a slide, and the service holds the record.
    act "stop the service for the while" systemctl stop leukoscope.service
    judge_drawn_slide
    act "start the service again" systemctl start leukoscope.service
    shown=$(latest_verdict)
  elif [ -z "$shown" ] && systemd_runs && systemctl --quiet is-active leukoscope.service; then
    say "  waiting for the service to store one ..."
    local waited=0
    while [ -z "$shown" ] && [ "$waited" -lt 60 ]; do
      sleep 1
      waited=$((waited + 1))
      shown=$(latest_verdict)
    done
  elif [ -z "$shown" ]; then
    judge_drawn_slide
    shown=$(latest_verdict)
  fi
  [ -n "$shown" ] || fail "step verdict: no verdict is stored; look: systemctl status leukoscope; edge doctor"
  say "  stored: $shown"
}

# By the profile without its bench, which would wait for somebody.
judge_drawn_slide() {
  require_proc
  open_work
  awk '/^[[:space:]]*\[/ {bench = /^[[:space:]]*\[bench\]/} !bench' "$ROOT$CONFIG/edge.toml" > "$WORK/without-bench.toml"
  act "judge a drawn slide" as_account "$PREFIX/venv/bin/edge" run --config "$INSIDE/without-bench.toml" --camera sim: --every \
    --frames 8 --slide first-verdict --keep none --store "$DATA/record"
}

# The record's own words for its latest verdict, read by Python's sqlite3 alone. Nothing where there is no record.
latest_verdict() {
  [ -e "$ROOT$DATA/record/record.sqlite" ] || return 0
  as_account "$PREFIX/venv/bin/python" -I -c '
import sqlite3, sys
record = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
row = record.execute("SELECT utc, slide, field, label, reason FROM verdicts ORDER BY (label IS NULL), id DESC LIMIT 1").fetchone()
if row:
    utc, slide, field, label, reason = row
    print(f"{utc} slide {slide} field {field}: {label or reason} (research use only)")
' "$DATA/record/record.sqlite"
}

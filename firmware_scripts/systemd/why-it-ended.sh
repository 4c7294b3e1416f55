#!/bin/sh
# Says why the instrument ended, in one line with the cure: run by systemd after each end (ExecStopPost of leukoscope.service)
# and, when it ended for good, once more for every terminal (leukoscope-failed.service).
#
# What systemd hands over: SERVICE_RESULT, EXIT_CODE, EXIT_STATUS; MONITOR_... in the unit that OnFailure starts. What the
# program itself said last is the unit's status: "failed (PART): what and why", where PART is what the error is about
# (edge/errors.py, `concerns`). Both are needed: exit code 1 is a failed self-test or a damaged record, which have
# opposite cures.
RESULT=${MONITOR_SERVICE_RESULT:-${SERVICE_RESULT:-}}
STATUS=${MONITOR_EXIT_STATUS:-${EXIT_STATUS:-}}
UNIT=leukoscope.service
RECORD=/var/lib/leukoscope/record
AS="sudo -u leukoscope"

# Without the message bus there is no word of the program's own; the journal has it all the same.
said=$(timeout 10 systemctl show --value --property=StatusText "$UNIT" 2> /dev/null)
part=""
case $said in
  "failed ("*"): "*)
    part=${said#failed (}
    part=${part%%)*}
    said=${said#*): }
    ;;
  *) said="" ;;
esac

level=4 # a warning; 0 reaches every terminal
for_good=no
case $RESULT:$STATUS in
  success:*) exit 0 ;;
  exit-code:130) exit 0 ;; # stopped before it was up
  exit-code:1)
    for_good=yes
    case $part in
      selftest)
        what="the self-test failed: the model does not compute here what was certified. Nothing is judged"
        cure="$AS edge selftest; the steps are in docs/how-to/check-a-device.md, The self-test"
        ;;
      record)
        what="the record is damaged or is none, and nothing is written to it. The bundle is not at fault: no rollback"
        cure="$AS edge verify --store $RECORD names the damage; put back a copy, or keep it aside (mv $RECORD $RECORD.damaged) and a new one begins"
        ;;
      bundle)
        what="no bundle that is installed may serve"
        cure="$AS edge slots says why; bring a sound one: $AS edge update SOURCE"
        ;;
      *)
        what="it ended with the answer no"
        cure="journalctl -u leukoscope -n 30"
        ;;
    esac
    ;;
  exit-code:2)
    for_good=yes
    case $part in
      profile)
        what="the profile cannot be used"
        cure="mend /etc/leukoscope/edge.toml"
        ;;
      bundle)
        what="the bundle is altered, not certified, or not signed by whom this device trusts"
        cure="$AS edge slots; $AS edge update SOURCE brings a sound one. To install again repairs the one that ships with the software"
        ;;
      keys)
        what="the trusted keys cannot be read"
        cure="mend or remove the file it names in /etc/leukoscope/trusted"
        ;;
      camera)
        what="the camera of the profile, or its settings, cannot be"
        cure="mend [camera] in /etc/leukoscope/edge.toml; edge doctor lists the cameras"
        ;;
      system)
        what="the system refused a file"
        cure="look at the path it names: owner, mode, file system"
        ;;
      *)
        what="its request is wrong"
        cure="systemctl cat leukoscope: was the unit changed?"
        ;;
    esac
    ;;
  exit-code:4)
    case $part in
      camera) what="no camera" cure="plug it in; edge doctor lists those that are there" ;;
      record) what="the record cannot be written: no room, read-only, or held by another process" cure="$AS edge prune, or another card" ;;
      edgetpu) what="the Edge TPU cannot be used" cure="the line names it; docs/how-to/run-on-a-coral.md" ;;
      software) what="a part of the software is missing" cure="run install.sh again" ;;
      bundle) what="there is no bundle to serve now" cure="$AS edge slots; $AS edge update SOURCE" ;;
      *) what="this machine lacks something" cure="edge doctor" ;;
    esac
    ;;
  exit-code:70)
    what="a fault of the program, with its traceback in the journal"
    cure="journalctl -u leukoscope -n 60: send it to whoever maintains the software"
    ;;
  exit-code:203)
    what="the software is not there: /opt/leukoscope/venv/bin/edge cannot be executed"
    cure="run install.sh again"
    ;;
  exit-code:2[0-4]?)
    what="systemd could not set up its sandbox (status $STATUS)"
    cure="systemctl status leukoscope; a container or a kernel without namespaces cannot run it"
    ;;
  exit-code:*)
    what="it ended with exit code $STATUS, which it does not have"
    cure="journalctl -u leukoscope -n 60"
    ;;
  watchdog:*)
    what="it hung: no sign of life within the watchdog's time"
    cure="if it repeats, note what the camera did; edge doctor"
    ;;
  oom-kill:*)
    what="it needed more memory than it may have"
    cure="a smaller frame size in the profile"
    ;;
  timeout:*)
    what="it was not up, or not down, in time"
    cure="journalctl -u leukoscope -n 30; a slow card or a self-test that hangs"
    ;;
  signal:* | core-dump:*)
    what="it was killed by signal $STATUS"
    cure="if nobody did that: journalctl -u leukoscope -n 60, and edge doctor for power and memory"
    ;;
  protocol:*)
    what="it ended before it served"
    cure="journalctl -u leukoscope -n 30"
    ;;
  *)
    what="it does not serve (${RESULT:-no result}${STATUS:+, $STATUS})"
    cure="systemctl status leukoscope"
    ;;
esac
if [ "${1:-}" = --for-every-terminal ]; then
  [ "$for_good" = yes ] || exit 0 # it is started again by itself
  level=0
fi
if [ "$for_good" = yes ]; then
  then="It stays down: mend it, then systemctl restart leukoscope"
else
  then="It is started again by itself"
fi
printf '<%d>Leukoscope does not serve: %s%s. Cure: %s. %s.\n' "$level" "$what" "${said:+ ($said)}" "$cure" "$then" >&2

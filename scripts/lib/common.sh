# Shared by the scripts: messages, steps with progress, and processes that are remembered by pid and start time.
# Source it; ROOT is the project's folder.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH=$ROOT/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH LC_ALL=C.UTF-8
unset TMOUT CDPATH

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

require_root() { # require_root WHAT "$@": as root, or again through sudo, or a clear word
  local what=$1; shift
  [ "$(id -u)" = 0 ] && return
  command -v sudo >/dev/null || die "$what needs root, and sudo is not installed: run it as root."
  say "$what needs root: asking sudo."
  exec sudo -- env "PATH=$PATH" "$0" "$@"
}

as_owner() { # as_owner command…: as the owner of the project's files, so that sudo leaves none there that only root may change
  local owner
  owner=$(stat -c %u "$ROOT")
  if [ "$(id -u)" = 0 ] && [ "$owner" != 0 ]; then
    setpriv --reuid "$owner" --regid "$(stat -c %g "$ROOT")" --init-groups -- env "HOME=$(getent passwd "$owner" | cut -d: -f6)" "$@"
  else
    "$@"
  fi
}

absolute() { # absolute PATH: the path without ~ or .., whether it exists or not
  realpath -m -- "$1"
}

now_ms() { local t=${EPOCHREALTIME/[^0-9]/}; printf '%s' "${t%???}"; }

seconds_since() { # seconds_since MS: "1.2"
  local tenths=$(( ($(now_ms) - $1 + 50) / 100 ))
  printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# ---- steps: `step "What is done" "What to do when it fails" LOGFILE command…`
# The command runs in a process group of its own and the shell waits for it with `wait`, because bash answers a
# signal only between commands: a Ctrl-C during a long build must end the build, in our order.
STEP_PID=
step() {
  local title=$1 advice=$2 log=$3 begin rc=0 shown=0
  shift 3
  begin=$(now_ms)
  mkdir -p "$(dirname "$log")"
  set -m
  ( set +m; trap - EXIT INT TERM HUP; "$@" ) >"$log" 2>&1 </dev/null &
  STEP_PID=$!
  set +m
  while kill -0 "$STEP_PID" 2>/dev/null; do
    if [ "$shown" = 0 ] && [ $(($(now_ms) - begin)) -ge 1000 ]; then printf '… %s\n' "$title" >&2; shown=1; fi
    sleep 0.05 & wait $! || true
  done
  wait "$STEP_PID" || rc=$?
  STEP_PID=
  if [ "$rc" != 0 ]; then
    say "✗ $title: failed after $(seconds_since "$begin") s. The end of $log:"
    tail -n 15 "$log" | sed 's/^/    /' >&2
    say "  $advice"
    if [ -n "${STEP_MAY_FAIL-}" ]; then return 1; fi
    exit 1
  fi
  if [ $(($(now_ms) - begin)) -ge 1000 ]; then say "✓ $title ($(seconds_since "$begin") s)"; fi
}

stop_step() { # what a signal handler calls: ends the step that is under way
  [ -n "$STEP_PID" ] || return 0
  kill -TERM -- "-$STEP_PID" 2>/dev/null || true
  wait "$STEP_PID" 2>/dev/null || true
  STEP_PID=
}

# ---- processes, written down as "PID STARTTIME": a pid may be given to another process after a crash or a reboot of
# the machine, and that one must never be killed; the start time (in clock ticks since boot) with the boot id tells.
process_start() { # process_start PID
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  [ "${stat%% *}" != Z ] || return 1
  set -- $stat
  printf '%s@%s' "${20}" "$(cat /proc/sys/kernel/random/boot_id)"
}

remember() { # remember FILE PID
  local start
  start=$(process_start "$2") || return 1
  mkdir -p "$(dirname "$1")"
  printf '%s %s\n' "$2" "$start" > "$1.new" && mv "$1.new" "$1"
}

launch() { # launch PIDFILE LOG command…: a daemon, tied to no terminal, that wrote itself down before it became the program
  local pidfile=$1 log=$2
  shift 2
  ( remember "$pidfile" "$BASHPID" && exec setsid "$@" </dev/null >>"$log" 2>&1 ) &
  wait_until 5 launched "$pidfile" "$!"
}
launched() { [ "$(cut -d' ' -f1 "$1" 2>/dev/null)" = "$2" ]; }

running_pid() { # running_pid FILE: prints the pid when that very process still runs
  local pid start
  [ -f "$1" ] || return 1
  read -r pid start < "$1" || return 1
  [ -n "$pid" ] && [ "$(process_start "$pid")" = "$start" ] || return 1
  printf '%s' "$pid"
}

is_running() { # is_running FILE: whether it runs, and goes on; one that was killed a moment ago is waited for, and does not
  local pid
  while pid=$(running_pid "$1") && is_ending "$pid"; do sleep 0.02; done
  [ -n "$pid" ]
}
is_ending() { # is_ending PID: SIGKILL waits for it (proc(5): SigPnd, ShdPnd), or its exit has begun (stat: flags, PF_EXITING)
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  if grep -qE '^(SigPnd|ShdPnd):.*[13579bdf]..$' "/proc/$1/status" 2>/dev/null; then return 0; fi
  set -- ${stat##*) }
  (($7 & 4))
}

stop_remembered() { # stop_remembered FILE SECONDS: SIGTERM, SIGKILL when that did not end it in time, forgotten
  local pid deadline
  if pid=$(running_pid "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    deadline=$(($(now_ms) + $2 * 1000))
    while running_pid "$1" >/dev/null && [ "$(now_ms)" -lt "$deadline" ]; do sleep 0.05; done
    if running_pid "$1" >/dev/null; then kill -KILL "$pid" 2>/dev/null || true; fi
    while running_pid "$1" >/dev/null; do sleep 0.02; done
  fi
  rm -f "$1"
}

wait_until() { # wait_until SECONDS command…: tries every 50 ms
  local deadline=$(($(now_ms) + $1 * 1000))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(now_ms)" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

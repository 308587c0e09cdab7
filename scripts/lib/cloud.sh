# The parts of the small cloud that scripts/up runs, below one folder DATA, and how they are stopped.

portal_port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

build_portal() {
  local marker
  # The mark is older than the build: a source changed while it ran is built next time.
  marker=$(mktemp)
  (cd "$ROOT" && as_owner npm run --silent build && as_owner touch -r "$marker" dist/.built)
  rm -f "$marker"
}

write_portal_environment() { # DATA PORT: what the portal reads, also used by scripts/admin; only its owner may read it
  local data=$1 port=$2
  if [ ! -s "$data/session-secret" ]; then
    (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$data/session-secret.new")
    mv "$data/session-secret.new" "$data/session-secret"
  fi
  (umask 077; cat > "$data/portal.env.new" <<ENV
NODE_ENV=production
PORT=$port
LISTEN_ADDRESS=127.0.0.1
PUBLIC_URL=http://127.0.0.1:$port
DATABASE_URL=$(if has_ndb "$data"; then ndb_url "$data/ndb"; else database_url "$data/database"; fi)
DATABASE_ENGINE=$(if has_ndb "$data"; then echo ndbcluster; else echo innodb; fi)
SESSION_SECRET_FILE=$data/session-secret
FENCE_AGENTS_PATH=$data/lab/agents:/usr/sbin
ENV
  )
  mv "$data/portal.env.new" "$data/portal.env"
}

with_portal_environment() { # with_portal_environment DATA command…: the file's values, and the caller's for all else
  local data=$1
  shift
  ( set -a; . "$data/portal.env"; set +a; cd "$ROOT"; exec "$@" )
}

portal_admin() { # portal_admin DATA command…
  local data=$1
  shift
  with_portal_environment "$data" node dist/admin.js "$@"
}

start_portal() { # start_portal DATA PORT
  local data=$1 port=$2
  ( set -a; . "$data/portal.env"; set +a; cd "$ROOT"; launch "$data/portal.pid" "$data/log/portal.log" node --max-semi-space-size=4 dist/main.js )
  wait_until 30 portal_serves_or_ended "$data" "$port" || true
  if ! portal_serves "$port"; then
    tail -n 10 "$data/log/portal.log"
    stop_remembered "$data/portal.pid" 5
    return 1
  fi
}
portal_serves() { curl -fsS --max-time 2 -o /dev/null "http://127.0.0.1:$1/healthz" 2>/dev/null; }
portal_serves_or_ended() { ! running_pid "$1/portal.pid" >/dev/null || portal_serves "$2"; }

demo_image_path() { printf '%s/images/demo-%s.qcow2' "$1" "$("$ROOT/scripts/build-demo-image" --id)"; }

# ---- the database: a private MariaDB, or a MySQL Cluster once DATA was made with one
has_ndb() { [ -d "$1/ndb" ]; }
start_any_database() { if has_ndb "$1"; then start_ndb "$1/ndb"; else start_database "$1/database"; fi; }
stop_any_database() { if has_ndb "$1"; then stop_ndb "$1/ndb"; else stop_database "$1/database"; fi; }
any_database_runs() { # of a cluster: one node of each kind is enough
  if has_ndb "$1"; then
    { running_pid "$1/ndb/data1/pid" || running_pid "$1/ndb/data2/pid"; } >/dev/null && { running_pid "$1/ndb/sql1/pid" || running_pid "$1/ndb/sql2/pid"; } >/dev/null
  else running_pid "$1/database/pid" >/dev/null; fi
}

start_database_and_hosts() { # DATA HOSTS: side by side, for a quick start; one private host, or a lab of several
  local data=$1 rc=0
  start_any_database "$data" & local database=$!
  if [ "$2" = 1 ]; then start_single_host "$data" || rc=1; else start_lab "$data" "$2" || rc=1; fi
  wait "$database" || rc=1
  return "$rc"
}

start_single_host() {
  if [ -f "$1/lab/settings" ]; then lab_down "$1"; fi
  start_host "$1" 1
}

start_lab() { # DATA HOSTS: taken over when it runs; what runs and is no lab, or another one, is ended first
  local memory
  memory=$(default_host_memory "$2")
  if lab_is_other "$1" tls "$memory"; then lab_down "$1"; fi
  lab_up "$1" "$2" tls "$memory" 0
}

start_portal_and_register() { # DATA PORT HOSTS IMAGE: the portal, and meanwhile what it shall manage
  local rc=0
  copy_demo_image "$1" "$4" || return 1
  start_portal "$1" "$2" & local portal=$!
  register "$1" "$3" "$4" || rc=1
  wait "$portal" || rc=1
  return "$rc"
}

copy_demo_image() { # DATA IMAGE: into the pool when it is not there. Never over an existing file: instances stand on it
  local target
  target=$1/pool/$(basename "$2")
  if [ -f "$target" ]; then return 0; fi
  cp "$2" "$target.new"
  chmod 444 "$target.new"
  mv "$target.new" "$target"
}

register() { # DATA HOSTS IMAGE
  local number commands=(migrate)
  read_lab_settings "$1"
  for number in $(seq "$2"); do
    commands+=(then add-host --name "host$number" --network lan --console-address "$(host_address "$1" "$number")")
    if [ "$2" = 1 ]; then
      commands+=(--uri "$(host_uri "$1" 1)")
      # a host that was one of several keeps its pools as they were then
      if [ -f "$1/host1/etc/storage/local.xml" ]; then commands+=(--shared-pool default --pool local); else commands+=(--pool default); fi
    else commands+=(--uri "$(lab_host_uri "$1" "$number")" --shared-pool default --pool local --fence-agent fence_lab --fence "plug=$number")
    fi
  done
  commands+=(then register-image --file "$(basename "$3")" --name Demo --pool default --cloud-init --min-memory 96
    --description 'A small Linux to try things out. Its screen asks for no password; over SSH you are root, with your key. 試用的小型 Linux：畫面不需密碼；SSH 以 root 與您的金鑰登入。' --supersede)
  portal_admin "$1" "${commands[@]}"
}

create_first_admin() { # DATA NAME PASSWORDFILE: nothing when an administrator exists already
  local rc=0
  portal_admin "$1" setup-link >/dev/null 2>&1 || rc=$?
  if [ "$rc" = 3 ]; then return 0; fi
  portal_admin "$1" create-admin "$2" --password-file "$3"
}

stop_cloud() { # stop_cloud DATA: what runs below DATA, the portal first, so that it sees its hosts and its database to its end
  stop_remembered "$1/portal.pid" 20
  lab_down "$1"
  stop_any_database "$1"
  rm -f "$1/address"
}

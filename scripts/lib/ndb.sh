# A small MySQL Cluster (NDB) below a folder, all of it on loopback: a management node (mgm), two data nodes that hold the same
# data (data1, data2) and two SQL nodes (sql1, sql2), from programs that are installed or only unpacked. For trials and tests:
# one machine is one point of failure. docs/mysql-cluster.md has the real thing. Every process is written down by pid.
NDB_NODES="mgm data1 data2 sql1 sql2"
# The programs, packed, where somebody laid them beside the checkout.
NDB_PACKED=$ROOT/../shared/mysql-cluster/mysql-cluster.tar.zst

find_ndb() { # prints the folder with bin/mysqld and the others: of MYSQL_CLUSTER_HOME, or the one that PATH finds
  local program
  if [ -n "${MYSQL_CLUSTER_HOME-}" ]; then
    [ -x "$MYSQL_CLUSTER_HOME/bin/ndbmtd" ] || return 1
    printf '%s' "$MYSQL_CLUSTER_HOME"
    return
  fi
  if program=$(command -v ndbmtd) && command -v ndb_mgmd mysqld >/dev/null; then
    program=$(realpath "$program")
    # Debian-like packages: daemons lie in /usr/sbin, clients in /usr/bin
    printf '%s' "$(dirname "$(dirname "$program")")"
    return
  fi
  find_unpacked_ndb
}

# Programs that lie packed beside the checkout (mysql-cluster.tar.zst) are unpacked once, into a folder of the checkout's.
find_unpacked_ndb() {
  local packed=$NDB_PACKED home=$ROOT/.cache/mysql-cluster
  [ -f "$packed" ] && command -v zstd >/dev/null || return 1
  if [ ! -x "$home/bin/mysqld" ] || [ "$packed" -nt "$home/.unpacked" ]; then
    ( mkdir -p "$ROOT/.cache" && exec 9>"$ROOT/.cache/mysql-cluster.lock" && flock 9
      if [ ! -x "$home/bin/mysqld" ] || [ "$packed" -nt "$home/.unpacked" ]; then
        rm -rf "$home" "$home.new"
        mkdir -p "$home.new"
        tar -C "$home.new" --strip-components=1 --zstd -xf "$packed" && touch "$home.new/.unpacked" && mv "$home.new" "$home"
      fi ) >&2 || return 1
  fi
  printf '%s' "$home"
}

ndb_program() { # ndb_program NAME: its path
  local folder
  for folder in bin sbin; do if [ -x "$NDB_HOME/$folder/$1" ]; then printf '%s' "$NDB_HOME/$folder/$1"; return; fi; done
  command -v "$1"
}
ndb_runs() { "$(ndb_program mysqld)" --no-defaults --version >/dev/null; } # its libraries are there (libaio, libnuma, libssl)

# ---- settings: PORT is the management node's; data nodes have the next two, SQL nodes the two after those
ndb_port() { cat "$1/port"; }
ndb_connect() { printf -- '--ndb-connectstring=127.0.0.1:%s' "$(ndb_port "$1")"; }
ndb_sql_port() { printf '%s' $(($(ndb_port "$1") + 2 + $2)); }
ndb_socket() { printf '%s/sql%s/sock' "$1" "$2"; }
ndb_url() { # both SQL nodes, as DATABASE_URL wants them
  local password
  password=$(cat "$1/password")
  printf 'mysql://cloud:%s@127.0.0.1:%s/cloud,mysql://cloud:%s@127.0.0.1:%s/cloud' "$password" "$(ndb_sql_port "$1" 1)" "$password" "$(ndb_sql_port "$1" 2)"
}

ndb_choose_port() { # five in a row that nobody listens at, below those the kernel gives to clients
  local base=$1 port offset
  if [ -s "$base/port" ]; then return; fi
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 1200 * 10))
    for offset in 0 1 2 3 4; do ! (exec 3<>"/dev/tcp/127.0.0.1/$((port + offset))") 2>/dev/null || continue 2; done
    printf '%s\n' "$port" > "$base/port"
    return
  done
  echo "no five free ports were found from 20000 to 32000"; return 1
}

ndb_secret() { # FILE: a random password, readable by its owner alone
  if [ -s "$1" ]; then return; fi
  (umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$1.new")
  mv "$1.new" "$1"
}

write_ndb_config() { # FOLDER [quick]: quick, for tests: room for the tables of many databases at once
  local folder=$1 port tables=512
  port=$(ndb_port "$folder")
  if [ "${2-}" = quick ]; then tables=1024; fi
  cat > "$folder/config.ini.new" <<INI
[ndbd default]
NoOfReplicas=2
DataMemory=${NDB_DATA_MEMORY:-256M}
MaxNoOfTables=$tables
MaxNoOfAttributes=$((tables * 16))
MaxNoOfOrderedIndexes=$tables
MaxNoOfUniqueHashIndexes=$tables
MaxNoOfConcurrentOperations=65536
NoOfFragmentLogFiles=4
FragmentLogFileSize=16M
RedoBuffer=32M
SharedGlobalMemory=64M
MaxNoOfExecutionThreads=2
HeartbeatIntervalDbDb=1500
# A portal that stands still inside a transaction keeps its locks no longer than this.
TransactionInactiveTimeout=5000
StopOnError=1
[ndb_mgmd]
NodeId=1
HostName=127.0.0.1
PortNumber=$port
DataDir=$folder/mgm
$(for n in 1 2; do printf '[ndbd]\nNodeId=1%s\nHostName=127.0.0.1\nServerPort=%s\nDataDir=%s/data%s\n' "$n" $((port + n)) "$folder" "$n"; done)
$(for n in 21 22 31 32; do printf '[api]\nNodeId=%s\nHostName=127.0.0.1\n' "$n"; done)
INI
  mv "$folder/config.ini.new" "$folder/config.ini"
}

write_ndb_sql_options() { # FOLDER N
  local folder=$1/sql$2 share
  share=$NDB_HOME/share
  # unpacked programs have their messages beside them; installed ones know where theirs are
  if [ -d "$share/english" ]; then share="lc_messages_dir = $share
character_sets_dir = $share/charsets"; else share=; fi
  cat > "$folder/my.cnf" <<CNF
[mysqld]
user = $(id -un)
datadir = $folder/data
socket = $folder/sock
pid_file = $folder/mysqld.pid
port = $(ndb_sql_port "$1" "$2")
bind_address = 127.0.0.1
loose_mysqlx = OFF
$share
skip_log_bin
skip_name_resolve
server_id = $2
character_set_server = utf8mb4
default_time_zone = +00:00
max_connections = 300
innodb_buffer_pool_size = 32M
innodb_redo_log_capacity = 16M
performance_schema = OFF
secure_file_priv = NULL
local_infile = OFF
ndbcluster
ndb_nodeid = 2$2
ndb_connectstring = 127.0.0.1:$(ndb_port "$1")
# How long statements wait for the data nodes after a start, before they fail.
ndb_wait_setup = 60
CNF
}

ndb_sql() { # ndb_sql FOLDER N [argument…]: the mysql client, as root of that SQL node
  local folder=$1 number=$2
  shift 2
  "$(ndb_program mysql)" --defaults-file="$folder/root.cnf" --socket="$(ndb_socket "$folder" "$number")" "$@"
}
ndb_manage() { "$(ndb_program ndb_mgm)" "$(ndb_connect "$1")" -e "$2"; } # ndb_manage FOLDER "COMMAND"

# ---- nodes
start_ndb_node() { # FOLDER NODE: begins; wait_ndb_node waits. Nothing when it runs
  local folder=$1 node=$2
  if is_running "$folder/$node/pid"; then return; fi
  mkdir -p "$folder/$node"
  case $node in
    mgm) launch "$folder/mgm/pid" "$folder/mgm/log" "$(ndb_program ndb_mgmd)" --nodaemon --initial -f "$folder/config.ini" --configdir="$folder/mgm" ;;
    data?) launch "$folder/$node/pid" "$folder/$node/log" "$(ndb_program ndbmtd)" --foreground "$(ndb_connect "$folder")" --ndb-nodeid="1${node#data}" ;;
    sql?)
      write_ndb_sql_options "$folder" "${node#sql}"
      ndb_make_sql_data "$folder" "$node" || return 1
      launch "$folder/$node/pid" "$folder/$node/log" "$(ndb_program mysqld)" --defaults-file="$folder/$node/my.cnf" ;;
  esac
}

ndb_make_sql_data() { # an SQL node's own files; its root has a password from the first moment
  local folder=$1 node=$2
  if [ -d "$folder/$node/data/mysql" ]; then return; fi
  (umask 077; printf "ALTER USER root@localhost IDENTIFIED BY '%s';\n" "$(cat "$folder/root-password")" > "$folder/$node/init.sql")
  "$(ndb_program mysqld)" --defaults-file="$folder/$node/my.cnf" --skip-ndbcluster --initialize-insecure --init-file="$folder/$node/init.sql" \
    --datadir="$folder/$node/data.new" >>"$folder/$node/log" 2>&1 || { tail -n 20 "$folder/$node/log"; rm -rf "$folder/$node/data.new"; return 1; }
  rm -f "$folder/$node/init.sql"
  mv "$folder/$node/data.new" "$folder/$node/data"
}

wait_ndb_node() { # FOLDER NODE SECONDS: until it does its work
  if wait_until "$3" ndb_node_ready_or_ended "$1" "$2" && ndb_node_ready "$1" "$2" >/dev/null; then return; fi
  tail -n 15 "$1/$2/log"
  echo "$2 did not come up within $3 s"
  return 1
}
ndb_node_ready_or_ended() { ! running_pid "$1/$2/pid" >/dev/null || ndb_node_ready "$1" "$2"; }
ndb_node_ready() {
  running_pid "$1/$2/pid" >/dev/null || return 1
  case $2 in
    mgm) timeout 5 "$(ndb_program ndb_mgm)" "$(ndb_connect "$1")" --connect-retries=1 -e '1 STATUS' ;;
    data?) timeout 5 "$(ndb_program ndb_mgm)" "$(ndb_connect "$1")" --connect-retries=1 -e "1${2#data} STATUS" | grep -q ': started' ;;
    sql?) timeout 5 "$(ndb_program mysql)" --defaults-file="$1/root.cnf" --connect-timeout=2 --socket="$(ndb_socket "$1" "${2#sql}")" -Ne \
      "SHOW GLOBAL STATUS LIKE 'Ndb_number_of_ready_data_nodes'" 2>/dev/null | grep -q '[1-9]$' ;;
  esac
}

kill_ndb_node() { # FOLDER NODE: at once, as a power cut would
  local pid
  if pid=$(running_pid "$1/$2/pid"); then
    kill -KILL "$pid"
    while running_pid "$1/$2/pid" >/dev/null; do sleep 0.02; done
  fi
}
freeze_ndb_node() { kill -STOP "$(running_pid "$1/$2/pid")"; } # its kernel still accepts connections, nobody answers
thaw_ndb_node() { kill -CONT "$(running_pid "$1/$2/pid")"; }
stop_ndb_node() { # FOLDER NODE: in order; a frozen one cannot be, and is killed
  local pid
  if pid=$(running_pid "$1/$2/pid"); then kill -CONT "$pid" 2>/dev/null || true; fi
  stop_remembered "$1/$2/pid" 30
}

# ---- the whole
start_ndb() { # FOLDER [quick]: quick, for tests: its account may make databases
  local folder=$1 node databases='cloud.*'
  [ ${#folder} -le 90 ] || { echo "the path $folder is too long for a Unix socket: choose a shorter one"; return 1; }
  if [ "${2-}" = quick ]; then databases='*.*'; fi
  mkdir -p "$folder"
  chmod 700 "$folder"
  ndb_choose_port "$folder" || return 1
  ndb_secret "$folder/password"
  ndb_secret "$folder/root-password"
  (umask 077; printf '[client]\nuser = root\npassword = %s\n' "$(cat "$folder/root-password")" > "$folder/root.cnf")
  write_ndb_config "$folder" "${2-}"
  start_ndb_node "$folder" mgm && wait_ndb_node "$folder" mgm 60 || return 1
  ndb_side_by_side start_ndb_node "$folder" data1 data2 sql1 sql2 || return 1
  for node in data1 data2 sql1 sql2; do wait_ndb_node "$folder" "$node" 180 || return 1; done
  make_ndb_account "$folder" "$databases"
}

make_ndb_account() { # FOLDER DATABASES: NDB_STORED_USER: the account is the same on every SQL node, also on one that comes later
  ndb_sql "$1" 1 <<SQL
CREATE DATABASE IF NOT EXISTS cloud;
CREATE USER IF NOT EXISTS cloud@'127.0.0.1' IDENTIFIED BY '$(cat "$1/password")';
ALTER USER cloud@'127.0.0.1' IDENTIFIED BY '$(cat "$1/password")';
GRANT NDB_STORED_USER ON *.* TO cloud@'127.0.0.1';
GRANT ALL PRIVILEGES ON $2 TO cloud@'127.0.0.1';
GRANT SELECT ON ndbinfo.* TO cloud@'127.0.0.1';
SQL
  wait_until 30 ndb_account_works "$1" 2 || { echo "the account did not reach the second SQL node"; return 1; }
}
ndb_account_works() { # FOLDER N
  ndb_sql "$1" "$2" -Ne "SELECT COUNT(*) FROM mysql.user WHERE user = 'cloud'" | grep -q 1
}

stop_ndb() { # FOLDER: SQL nodes first, so that the data nodes have no work under way
  ndb_side_by_side stop_ndb_node "$1" sql1 sql2
  ndb_side_by_side stop_ndb_node "$1" data1 data2
  stop_ndb_node "$1" mgm
}

ndb_side_by_side() { # FUNCTION FOLDER NODE…: waits for these alone: a node that was started here is a child of this shell too
  local function=$1 folder=$2 node pid pids=() rc=0
  shift 2
  for node in "$@"; do "$function" "$folder" "$node" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || rc=1; done
  return "$rc"
}

# ---- backup and restore. Native: what START BACKUP writes at each data node, one moment of the whole cluster while all goes on;
# loaded by ndb_restore. Logical: SQL, for any server; of one moment only while no portal works.
backup_ndb() { # FOLDER: prints the folder of the new backup
  local folder=$1 begin target id node
  begin=$(now_ms)
  target=$folder/backups/$(date -u +%Y%m%d-%H%M%S)
  mkdir -p "$target"
  ndb_manage "$folder" 'START BACKUP WAIT COMPLETED' > "$target/log" || { cat "$target/log" >&2; return 1; }
  id=$(sed -n 's/.*Backup \([0-9]*\) started from node [0-9]* completed.*/\1/p' "$target/log")
  for node in data1 data2; do
    mkdir "$target/$node"
    cp -r "$folder/$node/BACKUP/BACKUP-$id/." "$target/$node/" && rm -rf "$folder/$node/BACKUP/BACKUP-$id"
  done
  note_ndb_backup "$folder" native "$begin" "$target"
  say "native: $(du -sh --exclude='*.gz' "$target" | cut -f1) in $(seconds_since "$begin") s"
  begin=$(now_ms)
  dump_ndb "$folder" | gzip -1 > "$target/cloud.sql.gz" || return 1
  note_ndb_backup "$folder" logical "$begin" "$target/cloud.sql.gz"
  say "logical: $(du -h "$target/cloud.sql.gz" | cut -f1) in $(seconds_since "$begin") s"
  printf '%s\n' "$target"
}

dump_ndb() { # FOLDER: the database cloud as SQL, by whichever of the two dumps is installed
  local program
  program=$(ndb_program mysqldump || ndb_program mariadb-dump) || { echo "mysqldump or mariadb-dump (Debian: mariadb-client) is needed" >&2; return 1; }
  "$program" --defaults-file="$1/root.cnf" --socket="$(ndb_socket "$1" 1)" --no-tablespaces --skip-lock-tables --skip-add-locks --hex-blob --complete-insert \
    --default-character-set=utf8mb4 cloud
}

note_ndb_backup() { # FOLDER KIND BEGIN_MS PATH: for the portal's page; nothing where there is no portal's schema
  ndb_sql "$1" 1 cloud -e "INSERT INTO backups (id, kind, begun_at, ended_at, bytes, place)
    VALUES (UUID(), '$2', $3, $(now_ms), $(du -sb "$4" | cut -f1), '${4//\'/}')" 2>/dev/null || true
}

restore_ndb() { # FOLDER BACKUP: the database cloud as it was in the logical part of a backup; what is there is removed
  local begin
  begin=$(now_ms)
  { printf 'DROP DATABASE IF EXISTS cloud;\nCREATE DATABASE cloud;\nUSE cloud;\nSET default_storage_engine = ndbcluster;\n'
    gzip -dc "$2/cloud.sql.gz"; } | ndb_sql "$1" 1 || return 1
  if [ -n "$(ndb_sql "$1" 1 cloud -Ne "SHOW TABLES LIKE 'settings'")" ]; then
    # the hosts have gone on since: no portal starts on it before that (docs/admin.md, "Restore")
    ndb_sql "$1" 1 cloud -e "REPLACE INTO settings (name, value, updated_at) VALUES ('restored', 'true', 0)" || return 1
    say "next: scripts/admin --data … after-restore; no portal starts before"
  fi
  say "restored in $(seconds_since "$begin") s"
}

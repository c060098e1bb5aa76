#!/bin/sh
# Transparent capture: sends the TCP connections that programs open to an Envoy on this machine, whatever they are configured for.
#
# In: options, or the environment variables beside them. Out: one chain, DOUANE_OUTPUT, in the tables nat and filter of iptables and of
# ip6tables, each reached by one jump from OUTPUT. Never: touches a rule that is not its own, DNS, or a connection that comes in.
#
#   nat     the first packet of a connection to a captured port is redirected to the listener; Envoy reads the address it was meant for
#           (SO_ORIGINAL_DST) and goes there itself, as a user (uid or gid) that these rules leave alone: otherwise it would capture itself.
#   filter  QUIC is refused, because HTTP/3 is TLS over UDP that no TCP listener sees: clients fall back to TCP at once. And what nat
#           never judged, connections opened before the rules were there, is reset, so that programs open them again, through Envoy.
#           (The kernel remembers those for a while: should one's port be used again, that call is refused once more, and not let through.)
#
# Both tables are replaced with iptables-restore: each change is one commit in the kernel, so there is no moment between two sets of rules.
# It needs nothing but a POSIX shell, grep, sed, tr and iptables, as it runs in small images (an init container, with the pod's network).
set -euf

CHAIN=DOUANE_OUTPUT
NET_ADMIN_BIT=12 # linux/capability.h
WAIT_S=10        # for the lock that iptables-legacy programs share
TRIES=5          # a restore that found OUTPUT changed by somebody else at the same moment is made anew

usage() {
  cat <<'TEXT'
capture.sh up|down|status [options]

  up      capture; run again with other options, it replaces the rules in one step
  down    remove everything that up made; again is fine
  status  print the rules and their counters; exit 0 captured, 1 in part, 3 not at all

Options (lists are separated by commas; the environment variable behind each counts where the option is not given):
  --listener PORT        Envoy's transparent listener (15001)               DOUANE_CAPTURE_LISTENER
  --ports LIST           destination ports to capture, N or N:M (443)       DOUANE_CAPTURE_PORTS
  --exclude-uids LIST    users left alone: Envoy's. N or N-M (1337)         DOUANE_CAPTURE_EXCLUDE_UIDS
  --exclude-gids LIST    primary groups left alone (none)                   DOUANE_CAPTURE_EXCLUDE_GIDS
  --exclude-cidrs LIST   destinations left alone, IPv4 and IPv6 (none)      DOUANE_CAPTURE_EXCLUDE_CIDRS
  --exclude-ports LIST   destination ports left alone (none)                DOUANE_CAPTURE_EXCLUDE_PORTS
  --quic ACTION          reject, drop or allow UDP (reject)                 DOUANE_CAPTURE_QUIC
  --quic-ports LIST      on these ports (443)                               DOUANE_CAPTURE_QUIC_PORTS
  --earlier ACTION       reset or keep connections older than up (reset)    DOUANE_CAPTURE_EARLIER
  --ipv6 ACTION          auto, require or off (auto)                        DOUANE_CAPTURE_IPV6
  --require-ipv6         the same as --ipv6 require
  --iptables PROGRAM     iptables-nft, iptables-legacy, a path ...          IPTABLES
  --dry-run              print the commands, change nothing                 DOUANE_CAPTURE_DRY_RUN=1
  --help                 this text

Loopback and DNS (port 53) are always left alone. With --ipv6 auto a machine without IPv6 is fine; one that has IPv6 addresses but no
working ip6tables is an error, because calls over IPv6 would pass by.

Examples:
  capture.sh up                                         everybody's port 443 but user 1337's
  capture.sh up --ports 443,80                          plain HTTP, too
  capture.sh up --exclude-cidrs 10.0.0.0/8,fd00::/8     what stays inside the cluster is left alone
  capture.sh up --exclude-uids '' --exclude-gids 1337   Envoy is known by its group
  capture.sh up --dry-run                               what would be done
  capture.sh down

What it cannot do: stop a program that runs as the excluded user or may change these rules itself (CAP_NET_ADMIN). Give applications neither.
TEXT
}

say() { printf 'capture: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
usage_error() { say "$*"; say "capture.sh --help says what is allowed"; exit 2; }

# ---- options ---------------------------------------------------------------------------------------------------------------------

LISTENER=${DOUANE_CAPTURE_LISTENER:-15001}
PORTS=${DOUANE_CAPTURE_PORTS:-443}
UIDS=${DOUANE_CAPTURE_EXCLUDE_UIDS-1337}
GIDS=${DOUANE_CAPTURE_EXCLUDE_GIDS-}
CIDRS=${DOUANE_CAPTURE_EXCLUDE_CIDRS-}
EXCLUDED_PORTS=${DOUANE_CAPTURE_EXCLUDE_PORTS-}
QUIC=${DOUANE_CAPTURE_QUIC:-reject}
QUIC_PORTS=${DOUANE_CAPTURE_QUIC_PORTS:-443}
EARLIER=${DOUANE_CAPTURE_EARLIER:-reset}
IPV6=${DOUANE_CAPTURE_IPV6:-auto}
DRY_RUN=${DOUANE_CAPTURE_DRY_RUN:-}
WANTED_IPTABLES=${IPTABLES:-}
COMMAND=

set_option() { # NAME VALUE
  case $1 in
    --listener) LISTENER=$2 ;;
    --ports) PORTS=$2 ;;
    --exclude-uids) UIDS=$2 ;;
    --exclude-gids) GIDS=$2 ;;
    --exclude-cidrs) CIDRS=$2 ;;
    --exclude-ports) EXCLUDED_PORTS=$2 ;;
    --quic) QUIC=$2 ;;
    --quic-ports) QUIC_PORTS=$2 ;;
    --earlier) EARLIER=$2 ;;
    --ipv6) IPV6=$2 ;;
    --iptables) WANTED_IPTABLES=$2 ;;
    *) usage_error "unknown option $1" ;;
  esac
}

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) usage; exit 0 ;;
      --dry-run) DRY_RUN=1 ;;
      --require-ipv6) IPV6=require ;;
      --*=*) set_option "${1%%=*}" "${1#*=}" ;;
      --*)
        [ $# -gt 1 ] || usage_error "$1 needs a value"
        set_option "$1" "$2"
        shift
        ;;
      up | down | status)
        [ -z "$COMMAND" ] || usage_error "one command at a time: $COMMAND or $1"
        COMMAND=$1
        ;;
      *) usage_error "unknown command $1" ;;
    esac
    shift
  done
  [ -n "$COMMAND" ] || usage_error "say up, down or status"
}

items() { printf '%s' "$1" | tr ',\n' '  '; }

check_list() { # OPTION LIST PATTERN WORDS: every item of the list matches the extended regular expression
  for item in $(items "$2"); do
    printf '%s\n' "$item" | grep -Eqx "$3" || usage_error "$1: $item is not $4"
  done
}

check_port() { # OPTION NUMBER
  if [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then usage_error "$1: $2 is not a port (1-65535)"; fi
}

check_ports() { # OPTION LIST
  check_list "$1" "$2" '[0-9]{1,5}(:[0-9]{1,5})?' 'a port, or two with a colon between'
  for item in $(items "$2"); do
    check_port "$1" "${item%:*}"
    check_port "$1" "${item#*:}"
    [ "${item%:*}" -le "${item#*:}" ] || usage_error "$1: $item ends before it begins"
  done
}

one_of() { # OPTION VALUE ALLOWED...
  option=$1 value=$2
  shift 2
  for allowed in "$@"; do [ "$value" != "$allowed" ] || return 0; done
  usage_error "$option: $value is not one of $*"
}

check_options() {
  check_list --listener "$LISTENER" '[0-9]{1,5}' 'a port'
  check_port --listener "$LISTENER"
  [ -n "$(items "$PORTS")" ] || usage_error "--ports: at least one"
  check_ports --ports "$PORTS"
  check_ports --exclude-ports "$EXCLUDED_PORTS"
  check_ports --quic-ports "$QUIC_PORTS"
  check_list --exclude-uids "$UIDS" '[0-9]+(-[0-9]+)?' 'a number, or two with a dash between'
  check_list --exclude-gids "$GIDS" '[0-9]+(-[0-9]+)?' 'a number, or two with a dash between'
  # Names are refused: iptables would look them up in DNS, and capture what they meant at that moment.
  check_list --exclude-cidrs "$CIDRS" '[0-9]+(\.[0-9]+){3}(/[0-9]{1,2})?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(/[0-9]{1,3})?' 'an address or CIDR'
  one_of --quic "$QUIC" reject drop allow
  one_of --earlier "$EARLIER" reset keep
  one_of --ipv6 "$IPV6" auto require off
  [ -n "$(items "$UIDS$GIDS")" ] || usage_error "nobody is excluded: Envoy would capture its own connections; say --exclude-uids or --exclude-gids"
  for item in $(items "$UIDS"); do
    [ "${item%-*}" -ne 0 ] || say "warning: user 0 is left alone, and so every program that root runs"
  done
}

# ---- the rules -------------------------------------------------------------------------------------------------------------------

cidrs_of() { # FAMILY: what was excluded of it
  for item in $(items "$CIDRS"); do
    case $item in
      *:*) [ "$1" = 4 ] || echo "$item" ;;
      *) [ "$1" = 6 ] || echo "$item" ;;
    esac
  done
}

# Loopback by interface (addresses of this machine, too) and by address: behind nat a redirected packet still has the interface it was
# first meant for.
left_alone() { # FAMILY
  echo "-A $CHAIN -o lo -j RETURN"
  if [ "$1" = 4 ]; then echo "-A $CHAIN -d 127.0.0.0/8 -j RETURN"; else echo "-A $CHAIN -d ::1/128 -j RETURN"; fi
  echo "-A $CHAIN -p udp --dport 53 -j RETURN"
  echo "-A $CHAIN -p tcp --dport 53 -j RETURN"
  for item in $(items "$UIDS"); do echo "-A $CHAIN -m owner --uid-owner $item -j RETURN"; done
  for item in $(items "$GIDS"); do echo "-A $CHAIN -m owner --gid-owner $item -j RETURN"; done
  for item in $(cidrs_of "$1"); do echo "-A $CHAIN -d $item -j RETURN"; done
  for item in $(items "$EXCLUDED_PORTS"); do
    echo "-A $CHAIN -p tcp --dport $item -j RETURN"
    echo "-A $CHAIN -p udp --dport $item -j RETURN"
  done
}

# Openings only (--syn): where nobody tracked connections before, the next packet of an old one looks new, and would land in the listener.
redirected() {
  for item in $(items "$PORTS"); do echo "-A $CHAIN -p tcp --syn --dport $item -j REDIRECT --to-ports $LISTENER"; done
}

# Answers of a server here go to ports from 1024 on, and must pass. Below, nobody is asked who opened the connection: one that nobody
# tracked before counts as opened by whoever speaks first.
opened_here() { # PORTS
  [ "${1#*:}" -lt 1024 ] || printf '%s' '-m conntrack --ctdir ORIGINAL '
}

# Only packets of living sockets are reset: what the kernel sends for a socket that is closed already (the end of Envoy's own
# connections) has no owner to know it by.
refused() {
  if [ "$QUIC" != allow ]; then
    action=$(printf '%s' "$QUIC" | tr '[:lower:]' '[:upper:]')
    for item in $(items "$QUIC_PORTS"); do
      echo "-A $CHAIN -p udp --dport $item $(opened_here "$item")-j $action"
    done
  fi
  [ "$EARLIER" = reset ] || return 0
  for item in $(items "$PORTS"); do
    echo "-A $CHAIN -p tcp --dport $item $(opened_here "$item")-m owner --socket-exists -j REJECT --reject-with tcp-reset"
  done
}

jumps() { # TOOL TABLE: how often OUTPUT leads to our chain; 0 where nothing can be asked
  "$1" -t "$2" -S OUTPUT 2>/dev/null | grep -cx -e "-A OUTPUT -j $CHAIN" || true
}

unlink_jumps() { # TOOL TABLE
  count=$(jumps "$1" "$2")
  while [ "$count" -gt 0 ]; do
    echo "-D OUTPUT -j $CHAIN"
    count=$((count - 1))
  done
}

table_up() { # TOOL FAMILY TABLE: our chain anew, reached first, before anybody else's rules could send a packet elsewhere
  printf '*%s\n:%s - [0:0]\n' "$3" "$CHAIN"
  left_alone "$2"
  if [ "$3" = nat ]; then redirected; else refused; fi
  unlink_jumps "$1" "$3"
  printf -- '-I OUTPUT 1 -j %s\nCOMMIT\n' "$CHAIN"
}

has_chain() { "$1" -t "$2" -S "$CHAIN" >/dev/null 2>&1; } # TOOL TABLE

table_down() { # TOOL TABLE
  has_chain "$1" "$2" || return 0
  printf '*%s\n' "$2"
  unlink_jumps "$1" "$2"
  printf -- '-F %s\n-X %s\nCOMMIT\n' "$CHAIN" "$CHAIN"
}

rules_up() { table_up "$1" "$2" nat; table_up "$1" "$2" filter; } # TOOL FAMILY
# The way back: first nothing is refused, then nothing redirected.
rules_down() { table_down "$1" filter; table_down "$1" nat; } # TOOL

apply() { # TOOL RULES-FUNCTION ARGUMENTS...: commit the rules that the function prints
  tool=$1
  shift
  left=$TRIES
  while :; do
    rules=$("$@")
    [ -n "$rules" ] || return 0
    if [ -n "$DRY_RUN" ]; then
      printf "%s-restore --noflush --wait=%s <<'RULES'\n%s\nRULES\n" "$tool" "$WAIT_S" "$rules"
      return 0
    fi
    if errors=$(printf '%s\n' "$rules" | "$tool-restore" --noflush --wait="$WAIT_S" 2>&1); then return 0; fi
    left=$((left - 1))
    [ "$left" -gt 0 ] || fail "$tool-restore refused the rules: $errors"
  done
}

# ---- the tools -------------------------------------------------------------------------------------------------------------------

may_administer() {
  capabilities=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status 2>/dev/null)
  [ -z "$capabilities" ] || [ $((0x$capabilities >> NET_ADMIN_BIT & 1)) -eq 1 ]
}

works() { command -v "$1" >/dev/null 2>&1 && "$1" -t nat -S OUTPUT >/dev/null 2>&1; }

find_iptables() { # sets IPTABLES and IP6TABLES
  if [ -n "$WANTED_IPTABLES" ]; then
    candidates=$WANTED_IPTABLES
  else
    candidates="iptables iptables-nft iptables-legacy"
  fi
  [ -n "$DRY_RUN" ] || may_administer || fail "changing the rules needs CAP_NET_ADMIN: run it as root, or in a container with capabilities.add: [NET_ADMIN]"
  IPTABLES=
  for candidate in $candidates; do
    if works "$candidate"; then IPTABLES=$candidate; break; fi
  done
  if [ -z "$IPTABLES" ]; then
    IPTABLES=${candidates%% *}
    [ -n "$DRY_RUN" ] || fail "no iptables that works here (tried: $candidates): $("$IPTABLES" -t nat -S OUTPUT 2>&1 || true)"
  fi
  IP6TABLES=$(ipv6_name "$IPTABLES")
}

ipv6_name() { # TOOL: the program for IPv6 that belongs to it
  case $1 in
    */*) printf '%s/%s' "${1%/*}" "$(ipv6_name "${1##*/}")" ;;
    *) printf '%s' "$1" | sed 's/^iptables/ip6tables/' ;;
  esac
}

# Lines of /proc/net/if_inet6: address, interface, prefix length, scope (00 is global), flags, name.
has_ipv6_address() { grep -Eq '^[0-9a-f]{32} [0-9a-f]+ [0-9a-f]+ 00 ' /proc/net/if_inet6 2>/dev/null; }

ipv6_wanted() { # 0: capture IPv6, too
  [ "$IPV6" != off ] || { if has_ipv6_address; then say "warning: IPv6 is left alone as you said: calls over it pass by"; fi; return 1; }
  if [ -n "$DRY_RUN" ] || works "$IP6TABLES"; then return 0; fi
  if [ "$IPV6" = require ] || has_ipv6_address; then
    fail "IPv6 cannot be captured with $IP6TABLES, and calls over it would pass by; install it, or say --ipv6 off. $("$IP6TABLES" -t nat -S OUTPUT 2>&1 || true)"
  fi
  say "no IPv6 here: IPv4 alone is captured"
  return 1
}

# Legacy and nft rules live beside each other in the kernel; a set that the other one holds would be a second set. Legacy is asked only
# where its table exists: asking makes it.
others() { # the other programs that may hold rules of ours, both families
  for candidate in iptables-nft ip6tables-nft; do has_any "$candidate" && echo "$candidate"; done
  if grep -qx nat /proc/net/ip_tables_names 2>/dev/null; then has_any iptables-legacy && echo iptables-legacy; fi
  if grep -qx nat /proc/net/ip6_tables_names 2>/dev/null; then has_any ip6tables-legacy && echo ip6tables-legacy; fi
  return 0
}

backend() { # TOOL: nft or legacy
  case $("$1" --version 2>/dev/null) in *nf_tables*) echo nft ;; *) echo legacy ;; esac
}

has_any() { command -v "$1" >/dev/null 2>&1 && { has_chain "$1" nat || has_chain "$1" filter; }; }

remove_from_others() { # BACKEND that keeps its rules
  for candidate in $(others); do
    case $candidate in *-"$1") ;; *) apply "$candidate" rules_down "$candidate" ;; esac
  done
}

# ---- the commands ----------------------------------------------------------------------------------------------------------------

up() {
  with_ipv6=no
  if ipv6_wanted; then with_ipv6=yes; fi
  apply "$IPTABLES" rules_up "$IPTABLES" 4
  if [ "$with_ipv6" = yes ]; then
    apply "$IP6TABLES" rules_up "$IP6TABLES" 6
  elif works "$IP6TABLES"; then
    apply "$IP6TABLES" rules_down "$IP6TABLES"
  fi
  [ -n "$DRY_RUN" ] || remove_from_others "$(backend "$IPTABLES")"
}

down() {
  [ -z "$DRY_RUN" ] || may_administer || say "without CAP_NET_ADMIN the rules cannot be read: nothing is known to be removed"
  apply "$IPTABLES" rules_down "$IPTABLES"
  if works "$IP6TABLES"; then apply "$IP6TABLES" rules_down "$IP6TABLES"; fi
  remove_from_others none
}

status() {
  found=0 wanted=0
  for tool in "$IPTABLES" "$IP6TABLES"; do
    works "$tool" || continue
    for table in nat filter; do
      wanted=$((wanted + 1))
      echo "$tool, $table ($(jumps "$tool" "$table") jumps from OUTPUT):"
      if has_chain "$tool" "$table" && [ "$(jumps "$tool" "$table")" -gt 0 ]; then
        found=$((found + 1))
        "$tool" -t "$table" -v -S "$CHAIN" | sed 's/^/  /'
      fi
    done
  done
  [ "$found" -gt 0 ] || { echo "nothing is captured"; exit 3; }
  [ "$found" -eq "$wanted" ] || { echo "captured in part: $found of $wanted tables"; exit 1; }
  echo "captured"
}

read_options "$@"
check_options
find_iptables
"$COMMAND"

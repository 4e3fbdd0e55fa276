"""The config file a new operator starts from: every setting at its default, commented out."""


def default_config_text() -> str:
    """Return a config file in which every setting stands at its default, commented out, with what it means."""
    return _DEFAULT_TEXT


_DEFAULT_TEXT = """\
# Settings of tradeshell. A flag wins over an environment variable, that over this file, that over the default.
# Every line that starts with # and a name shows a default: take the # away to change it.

# The broker or venue: one that a plugin offers (`plugins` lists them). --broker, TRADESHELL_BROKER
#broker = "paper"

# Where journals and logs live. Without this: the state directory of your system. --state-dir, TRADESHELL_STATE_DIR
# example: state_dir = "~/trading"

# The plugins to load; without this all that are installed. TRADESHELL_LOAD_PLUGINS=breakout,paper (empty: none)
# example: load_plugins = ["breakout", "jsonl_log", "paper"]

# Load the bundled plugins only. --safe-mode, TRADESHELL_SAFE_MODE
#safe_mode = false

# Refuse every account that is not a paper account. Where this is false, a live account is traded only after its whole id was
# typed: when the program asks for it, or in scripts as --live-account U1234567; it cannot be written here. PAPER_ONLY
#paper_only = true

# Wait until an order's intent has reached the disk before the order leaves; costs milliseconds. TRADESHELL_AUDIT_FSYNC
#audit_fsync = false

# A watcher that was waiting when the program ended goes on by itself. Where something speaks against it (the level was crossed
# meanwhile, shares are there, its day is over): ask at a terminal and leave it as it is in a script, or arm, or skip it.
# TRADESHELL_RESUME
#resume = "ask"

# For scripts: one JSON object per line on stdout; go on after a failing command. --json, --keep-going
#json = false
#keep_going = false

# What a command falls back to when its word is not given; the keys are those of `breakout`.
#[defaults]
# example: quote_age = 2          # seconds: an older quote decides nothing
# example: entry_timeout = 20     # seconds, or "off": then the unfilled rest of an entry is cancelled
# example: max_chase = 1.50       # USD above the level, or "off": beyond it the entry is rejected
# example: entry = "limit"        # limit (at the ask) or market
# example: tif = "DAY"            # of entries: DAY GTC IOC FOK
# example: exit_tif = "GTC"       # of targets and stops: GTC DAY
# example: sl_type = "stop_limit" # or stop
# example: sl_offset = 0.05       # USD: limit of a stop-limit = sl - offset
# example: rth = true             # bars of regular hours only
# example: outside_rth = false    # orders may work outside regular hours
# example: bar = "1m"             # 1m 2m 3m 5m 15m 30m 1h
# example: max_bars = 60          # give up after so many bars

# What an order may be, and when entries end; "off" switches a limit off, but for the collar. TRADESHELL_MAX_QTY and so on.
#[limits]
#max_qty = 50000                  # shares of one order
#max_notional = 1000000           # USD of one order
#max_exposure = "off"             # USD of all positions and working entries together
#max_open_risk = "off"            # USD lost if every stop is hit; without a stop, all the shares cost
#max_daily_loss = "off"           # USD realised since midnight in New York, fees included: then no entry leaves any more
#max_orders_per_minute = 30       # entries and typed orders
#max_orders_per_side = 15         # working orders of one side in one symbol; IBKR takes 20
#collar = 3                       # percent that a touch may be away from its trigger, or a typed limit through the touch
#duplicate_window = 5             # seconds in which the same typed order needs `again`

# What the program does by itself for shares that are held. TRADESHELL_FLATTEN_LIVE and so on.
#[protection]
#flatten_live = false             # on a live account too, sell at the market what nothing else protects
#stop_on_unconfirmed = true       # a stop over executed shares although the broker does not confirm the position
#hold = false                     # keep an entry that the broker takes but cannot work yet
#hold_through_halt = false        # keep a working entry when its symbol is halted, and let a typed limit leave then
#rearm = false                    # exits that expired at the close are armed again in the next session

# When a stream of bars counts as stalled, and what is done about it. APPS_BAR_SELF_HEAL_ENABLED and so on.
#[bars]
#self_heal_enabled = false        # subscribe to a stalled stream again; without it a stall is only told
#health_poll_secs = 5             # seconds between two looks at stalled streams
#stall_multiplier = 3             # stalled after so many lengths of a bar without data …
#stall_floor_secs = 30            # … but not before so many seconds
#recovery_cooldown_secs = 60      # seconds between two attempts for one stream; doubled with every failure
#recovery_max_attempts = 5        # then the next change of the link is waited for
#recovery_max_concurrency = 1     # streams that are subscribed again at a time
#recovery_stall_burst_count = 2   # looks in a row that find a stream stalled before it is subscribed again

# Logs for people: on (in the state directory), off, or a path. APPS_OPS_LOG_PATH, APPS_IB_GATEWAY_LOG_PATH
#[logs]
#ops = "on"                       # link, streams, disks, what libraries say
#gateway = "off"                  # every message from and to the broker's gateway
#max_mb = 20                      # a full file is set aside
#keep = 5                         # so many of them are kept

# How a simulated venue is fed. --replay FILE…, --speed, --from, --market, --seed; paths are relative to this file.
#[venue]
#replay = []                      # recorded bars and quotes; empty: a generated market
#speed = 1                        # a factor, or "max"
#market = []                      # prices of the generated market
#seed = 1
# example: from = "10:30"         # New York, or ISO; earlier bars are history
# example: market = ["DEMO=100"]

# Interactive Brokers. IB_HOST, IB_PORT, IB_CLIENT_ID. Other brokers have tables of their own: [brokers.NAME]
#[brokers.ibkr]
#host = "127.0.0.1"
#port = 7497
#client_id = 7
#remote = false                   # IB_REMOTE: a host that is not this computer; nothing is encrypted on the way there
# example: account = "DU1234567"      # IB_ACCOUNT: which one, where the login has several

# What is done about exits at the broker without shares. APPS_ORPHAN_EXIT_SCOPE, APPS_ORPHAN_EXIT_ACTION
#[reconcilers.reconcile]
#orphan_exit_scope = "all_clients" # or client: orders sent under our own client number only
#orphan_exit_action = "warn"       # or cancel: asked of the broker once pictures agree; never one typed by hand

# Who gets every event. A table switches a sink on, `enabled = false` off; the rest of a table belongs to its plugin.
#[sinks.jsonl]
#enabled = true
# example: path = "~/trading/events.jsonl"    # APPS_EVENT_LOG_PATH wins

# Messages to phones, desktops and chats; the table switches them on. Keep this file to yourself: addresses hold passwords.
# example: [sinks.notify]
# example: urls = ["ntfy://my-topic"]          # TRADESHELL_NOTIFY_URLS wins
# example: weights = ["alarm", "bad", "good"]  # what is told: see the docs for events, never, symbols, per_minute
"""

"""A process that shares a Redis prefix with the server under test, as the Python reference does (spec 01 section 6.1).

Written from the specification and the recorded traffic in test/fixtures/redis.json: it issues the same commands on the
same keys, writes JSON as the reference does, and is as strict when it reads. Speaks lines of JSON: an operation with its
arguments on standard input, `{"ok": result}` or `{"error": text}` on standard output. Arguments: URL, prefix, TTL.
"""

import json
import sys
from datetime import datetime

import redis

RECORD_KEYS = ["run_id", "status", "created_at", "updated_at", "error"]
EVENT_KEYS = {"run_id", "created_at", "type", "data"}
STATUSES = {"running", "succeeded", "failed", "cancelled"}
EVENT_TYPES = {"run_started", "pydantic_ai_event", "run_succeeded", "run_failed", "run_cancelled"}
TERMINAL_TYPES = EVENT_TYPES - {"run_started", "pydantic_ai_event"}

# The later reference ends a run in one script that re-encodes the record with cjson: other key order, `\/`, and the
# time text of Python's isoformat.
FINALISE = """
local text = redis.call('GET', KEYS[1])
if not text then return {-1, '', ''} end
local record = cjson.decode(text)
if record.status ~= 'running' then return {0, record.status, ''} end
record.status = ARGV[1]
record.updated_at = ARGV[2]
record.error = ARGV[3] == '1' and ARGV[4] or cjson.null
record.error_type = ARGV[5] == '1' and ARGV[6] or cjson.null
local id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[9], '*', 'payload', ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[8])
redis.call('SET', KEYS[1], cjson.encode(record), 'EX', ARGV[8])
return {1, ARGV[1], id}
"""


def dumps(value):
    """Compact JSON, non-ASCII characters as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Store:
    def __init__(self, url, prefix, ttl):
        self.redis = redis.Redis.from_url(url)
        self.prefix = prefix
        self.ttl = ttl

    def record_key(self, run_id):
        return f"{self.prefix}:runs:{run_id}:record"

    def events_key(self, run_id):
        return f"{self.prefix}:runs:{run_id}:events"

    # Writing.

    def create(self, record):
        """One SET; no stream is created."""
        self.redis.set(self.record_key(record["run_id"]), dumps(record), ex=self.ttl)

    def append(self, run_id, payload):
        """One MULTI/EXEC: XADD and the two EXPIREs. `payload` is an event without id, or the exact text to store."""
        text = payload if isinstance(payload, str) else dumps(payload)
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.xadd(self.events_key(run_id), {"payload": text})
            pipe.expire(self.events_key(run_id), self.ttl)
            pipe.expire(self.record_key(run_id), self.ttl)
            return pipe.execute()[0].decode()

    def status(self, run_id, status, updated_at, error=None):
        """Read, modify, write: nothing keeps two of them apart."""
        text = self.redis.get(self.record_key(run_id))
        if text is None:
            raise KeyError("run not found")
        record = {**json.loads(text), "status": status, "updated_at": updated_at, "error": error}
        self.redis.set(self.record_key(run_id), dumps(record), ex=self.ttl)

    def finalise(self, run_id, status, updated_at, payload, error=None, error_type=None):
        """The later reference's atomic end."""
        keys = [self.record_key(run_id), self.events_key(run_id)]
        flags = ["0" if error is None else "1", error or "", "0" if error_type is None else "1", error_type or ""]
        reply = self.redis.eval(FINALISE, 2, *keys, status, updated_at, *flags, dumps(payload), self.ttl, 5000)
        return [part.decode() if isinstance(part, bytes) else part for part in reply]

    def raw_entry(self, run_id, fields):
        """An entry that no implementation should write."""
        return self.redis.xadd(self.events_key(run_id), fields).decode()

    def raw_record(self, run_id, text):
        self.redis.set(self.record_key(run_id), text, ex=self.ttl)

    def forget_record(self, run_id):
        return self.redis.delete(self.record_key(run_id))

    # Reading: unknown keys, unknown types and times without an offset are errors, as in the reference's models.

    def get_record(self, run_id):
        text = self.redis.get(self.record_key(run_id))
        if text is None:
            return None
        record = json.loads(text)
        if set(record) - {"error_type"} != set(RECORD_KEYS):
            raise ValueError(f"record keys: {list(record)}")
        if record["status"] not in STATUSES:
            raise ValueError(f"status: {record['status']}")
        for key in ("created_at", "updated_at"):
            if datetime.fromisoformat(record[key].replace("Z", "+00:00")).tzinfo is None:
                raise ValueError(f"{key}: no timezone")
        return record

    def record_text(self, run_id):
        text = self.redis.get(self.record_key(run_id))
        return None if text is None else text.decode()

    def payload_texts(self, run_id):
        return [fields[b"payload"].decode() for _, fields in self.redis.xrange(self.events_key(run_id))]

    def read_events(self, run_id, after="0-0", count=100):
        """A page, as GET /runs/{id}/events reads it."""
        return [self.event(run_id, entry) for entry in self.redis.xrange(self.events_key(run_id), f"({after}", count=count)]

    def follow(self, run_id, after="0-0"):
        """What an SSE stream of the reference sends: replay and live by XREAD BLOCK, up to the terminal event."""
        events = []
        while not events or events[-1]["type"] not in TERMINAL_TYPES:
            after = events[-1]["id"] if events else after
            reply = self.redis.xread({self.events_key(run_id): after}, count=100, block=30_000)
            if not reply:
                raise TimeoutError("nothing for 30 seconds")
            events += [self.event(run_id, entry) for entry in reply[0][1]]
        return events

    def event(self, run_id, entry):
        entry_id, fields = entry
        if list(fields) != [b"payload"]:
            raise ValueError(f"fields: {list(fields)}")
        event = json.loads(fields[b"payload"])
        if set(event) != EVENT_KEYS:
            raise ValueError(f"event keys: {list(event)}")
        if event["type"] not in EVENT_TYPES:
            raise ValueError(f"event type: {event['type']}")
        if datetime.fromisoformat(event["created_at"].replace("Z", "+00:00")).tzinfo is None:
            raise ValueError("created_at: no timezone")
        return {"id": entry_id.decode(), **event, "run_id": run_id}

    def ttls(self, run_id):
        return [self.redis.ttl(self.record_key(run_id)), self.redis.ttl(self.events_key(run_id))]

    def keys(self):
        return sorted(key.decode() for key in self.redis.scan_iter(match=f"{self.prefix}*", count=1000))


OPERATIONS = {
    name: getattr(Store, name)
    for name in (
        "create append status finalise raw_entry raw_record forget_record "
        "get_record record_text payload_texts read_events follow ttls keys"
    ).split()
}


def main(url, prefix, ttl):
    store = Store(url, prefix, int(ttl))
    for line in sys.stdin:
        try:
            name, arguments = json.loads(line)
            answer = {"ok": OPERATIONS[name](store, **arguments)}
        except Exception as error:  # The test shows it.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

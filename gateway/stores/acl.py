"""The least that the gateway's account may do at the store: the commands that it sends, no other."""

from typing import Final

_HASHES: Final = "hdel hexists hget hgetall hincrby hkeys hlen hmget hset hsetnx hvals"
_SETS: Final = "sadd scard sismember smembers smismember srem"
_SORTED_SETS: Final = (
    "zadd zcard zcount zmscore zpopmin zrange zrangebyscore zrem zremrangebyrank zremrangebyscore zscore"
)
_STRINGS: Final = "del exists expire get getdel incr mget pexpire pttl rename set ttl"
_SERVER: Final = "cluster|info cluster|slots eval evalsha exec info multi ping time wait"
_CONNECTION: Final = "auth hello select"
"""What the library sends on each new connection."""

COMMANDS: Final = tuple(
    command for group in (_CONNECTION, _HASHES, _SERVER, _SETS, _SORTED_SETS, _STRINGS) for command in group.split()
)

CLOSED_DEFAULT: Final = "off ~* &* +@all"
"""For the user ``default``, as whom a server reads its own append-only file when it starts.

Nobody can be it, and it has all rights: with fewer Redis 7.0 and 8.0 and Valkey 8.1 leave out what scripts wrote.
"""


def rights() -> str:
    """The rights of an account, as `ACL SETUSER` and an ACL file write them: every key, no channel, these commands."""
    return " ".join(("~*", "resetchannels", "-@all", *(f"+{command}" for command in COMMANDS)))

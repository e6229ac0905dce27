-- Replaces a person's recovery codes, all of them.
--
-- KEYS: 1 recovery codes
-- ARGV: the keyed hashes of the new codes

redis.call('DEL', KEYS[1])
redis.call('SADD', KEYS[1], unpack(ARGV))
return 1

-- Ends a user's sessions and tokens from partners, and drops what was confirmed with the user's other tokens; or ends the
-- sessions of one session of the partner's, and those of which nobody knows by which they came.
--
-- KEYS: 1 the user's session families, 2 the user's tokens, 3 until when the user's tokens from partners are not good
-- ARGV: 1 the partner's session id or "" for all, 2 now, 3 how long KEYS 3 is known (s), 4 how ids of partners' tokens begin,
--   5 "1": where no session came by ARGV 1, all are meant
-- Returns how many sessions ended.

local sid, families, came_by = ARGV[1], redis.call('SMEMBERS', KEYS[1]), {}
for _, family in ipairs(families) do
  came_by[family] = redis.call('HGET', tag .. 'sf:' .. family, 'sid') or ''
end

local known = false
for _, one in pairs(came_by) do known = known or one == sid end
if ARGV[5] == '1' and not known then sid = '' end

local ended = 0
for _, family in ipairs(families) do
  if sid == '' or came_by[family] == '' or came_by[family] == sid then
    ended = ended + redis.call('DEL', tag .. 'sf:' .. family)
    redis.call('DEL', tag .. 'p:' .. family, tag .. 'kn:' .. family, tag .. 'so:' .. family)
    redis.call('SREM', KEYS[1], family)
  end
end
if sid == '' then
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    redis.call('DEL', tag .. 'p:' .. id)
    if string.sub(id, 1, #ARGV[4]) == ARGV[4] and redis.call('EXISTS', tag .. 't:' .. id) == 1 then
      redis.call('HSETNX', tag .. 't:' .. id, 'revoked_at', ARGV[2])
    end
  end
  redis.call('SET', KEYS[3], ARGV[2], 'EX', ARGV[3])
end
return ended

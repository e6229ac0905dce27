-- Ends what a person is signed in with: one session or token of theirs, or all but the one that goes on.
--
-- KEYS: 1 the user's session families, 2 the user's tokens, 3 until when the user's tokens from partners are not good
-- ARGV: 1 now, 2 the one to end or "" for all, 3 the one that goes on, 4 how long KEYS 3 is known (s)
-- Returns {sessions ended, tokens revoked}; what is another user's is neither.

local function ends(id)
  if ARGV[2] == '' then return id ~= ARGV[3] end
  return id == ARGV[2]
end

local sessions, tokens = 0, 0
for _, family in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if ends(family) then
    sessions = sessions + redis.call('DEL', tag .. 'sf:' .. family)
    redis.call('DEL', tag .. 'p:' .. family, tag .. 'kn:' .. family, tag .. 'so:' .. family)
    redis.call('SREM', KEYS[1], family)
  end
end
for _, id in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if ends(id) then
    redis.call('DEL', tag .. 'p:' .. id)
    -- a partner's token ends by itself, and nothing is then written of it
    local token = tag .. 't:' .. id
    if redis.call('EXISTS', token) == 1 and redis.call('HSETNX', token, 'revoked_at', ARGV[1]) == 1 then
      tokens = tokens + 1
    end
  end
end
-- what was issued and has not been shown yet ends too
if ARGV[2] == '' then redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[4]) end
return {sessions, tokens}

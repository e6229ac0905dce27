-- Takes away what a user has seen of their notices: never what the very session that says so did itself.
--
-- KEYS: 1 the user's notices
-- ARGV: 1 the time of the newest that was shown, 2 the credential that says that they are seen
-- Returns how many were taken away.

local gone = 0
local all = redis.call('HGETALL', KEYS[1])
for index = 1, #all, 2 do
  local notice = cjson.decode(all[index + 1])
  if notice.by ~= ARGV[2] and notice.at <= tonumber(ARGV[1]) then
    gone = gone + redis.call('HDEL', KEYS[1], all[index])
  end
end
return gone

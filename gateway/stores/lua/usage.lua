-- How much of each budget is used, and when the oldest entry leaves.
--
-- KEYS: 1 clock, 2... budgets
-- ARGV: 1 now (ms), then the window (ms) of each budget
-- Returns for each budget {used, seconds until the next person leaves or -1}.

local clock = tonumber(redis.call('GET', KEYS[1]) or '0')
local now = math.max(tonumber(ARGV[1]), clock)
local answers = {}
for index = 2, #KEYS do
  local window = tonumber(ARGV[index])
  local edge = string.format('(%.0f', now - window)
  local used = redis.call('ZCOUNT', KEYS[index], edge, '+inf')
  local next_free = -1
  if used > 0 then
    local oldest = redis.call('ZRANGEBYSCORE', KEYS[index], edge, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    next_free = math.max(1, math.ceil((tonumber(oldest[2]) + window - now) / 1000))
  end
  answers[#answers + 1] = {used, next_free}
end
return answers

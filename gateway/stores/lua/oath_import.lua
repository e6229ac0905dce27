-- Takes hardware tokens into the stock: all of them, or none where one is known already.
--
-- KEYS: 1 the stock, 2 the tokens that became somebody's
-- ARGV: serial number, sealed token, serial number, sealed token, ...
-- Returns the serial numbers that are known already.

local known = {}
for index = 1, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[index]) == 1 or redis.call('HEXISTS', KEYS[2], ARGV[index]) == 1 then
    known[#known + 1] = ARGV[index]
  end
end
if #known > 0 then return known end
for index = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1]) end
return known

-- Makes one hardware token of the stock a factor of one user: once, for only who takes it out of the stock has it.
--
-- KEYS: 1 the stock, 2 the tokens that became somebody's, 3 the user's factors
-- ARGV: 1 serial number, 2 the sealed token as it was read from the stock, 3 the factor's name, 4 the token sealed as
--       this factor, 5 whose it is from now on
-- Returns 1, or 0 where the token is no longer in the stock.

if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
return 1

-- The last part of a script that charges: each charge on its own, in order.

local outcomes = {}
for index = 5, #ARGV, 3 do
  outcomes[#outcomes + 1] = charge(ARGV[index], ARGV[index + 1], ARGV[index + 2])
end
return {tonumber(stood[4] or '0'), linked, outcomes}

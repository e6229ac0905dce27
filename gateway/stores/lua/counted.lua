-- Who of the persons of charges is counted already, by which hash. `charge_reading.lua` stands before this.
--
-- KEYS, ARGV: as charge_reading.lua
-- Returns for each charge 17 bytes for each of them: the class of a limit that counts them, and the hash.

local found = {}
for index = 5, #ARGV, 3 do
  local parts = parts_of(read_limits(ARGV[index + 1]))
  local counted = {}
  read_counted(parts, candidates(read_records(ARGV[index + 2]), {}))
  for _, part in ipairs(parts) do
    for hash in pairs(part.seen) do counted[#counted + 1] = char(part.class) .. hash end
  end
  found[#found + 1] = table.concat(counted)
end
return found

-- Reserves instead of charging, where a charge's budgets are in several slots: whoever is new stands in a budget under
-- the hash, the reservation's id and the record's number, counted, but found by nobody else until `settle.lua` confirms
-- it. `charge_reading.lua` and `charge.lua` stand before this, `charge_all.lua` after it.
--
-- KEYS, ARGV: as charge_reading.lua, with the reservation's id in place of the kinds; records as `link.lua` gives them:
-- everybody is known by what stands first.
-- Returns as charge_reading.lua, and of each charge who goes on under another hash once its record is confirmed:
-- {record's number, budget, hash, the other hash} for each.

local reservation, moves

read_kinds = function(id)
  reservation = id
  return {}
end
read_roots = function() return {} end
resolve = function(_, person) return {{person.hashes[1], person.hashes}} end

name_of = function(c, root) return root .. reservation .. struct.pack('>I', c.record) end
write_moves = function(list)
  for index, move in ipairs(list) do moves[index] = {move[4], sub(move[1].key, #tag + 1), move[2], move[3]} end
end

local charge_here = charge
charge = function(...)
  moves = {}
  local answer = charge_here(...)
  answer[#answer + 1] = moves
  return answer
end

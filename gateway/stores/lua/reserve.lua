-- Reserves instead of charging, where a charge's budgets are in several slots: whoever is new stands in a budget under the
-- hash and the reservation's id, counted, but found by nobody else until `settle.lua` confirms it.
-- `charge_reading.lua` and `charge.lua` stand before this, `charge_all.lua` after it.
--
-- KEYS, ARGV: as charge_reading.lua, with the reservation's id in place of the kinds; records as `link.lua` gives them:
-- everybody is known by what stands first.

local reservation

read_kinds = function(id)
  reservation = id
  return {}
end
read_roots = function() return {} end
resolve = function(_, person) return {{person.hashes[1], person.hashes}} end

local write_charged = write_budget
write_budget = function(part)
  local added = part.added
  part.added = {}
  for index, root in ipairs(added) do part.added[index] = root .. reservation end
  write_charged(part)
  part.added = added
end

-- Which history this is: this run of this server under this replication id. A restart, a promotion
-- and a copy of the data elsewhere each have another one. The same words stand in `stores/histories.py`.
local function identity()
  local run_id = string.match(redis.call("INFO", "server"), "run_id:(%x+)")
  local replication_id = string.match(redis.call("INFO", "replication"), "master_replid:(%x+)")
  return run_id .. "." .. replication_id
end

-- Every write of what a control plane remembers besides its jobs; services/stores/frame.lua stands
-- around it. The answer begins with ok.

local control = prefix .. 'control:'

-- Write fields that are given and take the others away, so that a hash says nothing old.
local function put(key, names, fields)
  for _, name in ipairs(names) do
    if given(fields[name]) then
      redis.call('HSET', key, name, fields[name])
    else
      redis.call('HDEL', key, name)
    end
  end
end

-- Change an entry of a hash of records that is there.
local function replace(key, a)
  if redis.call('HGET', key, a.id) then
    redis.call('HSET', key, a.id, a.record)
  end
  return {'ok'}
end

-- -- keys ----------------------------------------------------------------------------------------

function operations.add_key(a)
  return {'ok', redis.call('HSETNX', control .. 'keys', a.id, a.record)}
end

function operations.replace_key(a)
  return replace(control .. 'keys', a)
end

-- -- idempotency keys ----------------------------------------------------------------------------

-- Reserve a key that is free, or whose reservation is still the one that the caller has seen. Else
-- the answer is the reservation there is, if there is one, and whether its holder lives.
function operations.reserve(a)
  local key, ages = control .. 'request:' .. a.name, control .. 'requests'
  local known = redis.call('HMGET', key, 'turn', 'state', 'holder')
  local turn = known[1] and known[1] .. ' ' .. known[2] or ''
  if turn ~= a.turn then
    local holder = control .. 'present:' .. (known[3] or '')
    return {'ok', record(key), redis.call('EXISTS', holder)}, true
  end
  redis.call('DEL', key)
  for name, value in pairs(a.fields) do
    redis.call('HSET', key, name, value)
  end
  redis.call('ZADD', ages, a.fields.began_at, a.name)
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', ages, '-inf', '(' .. a.oldest, 'LIMIT', 0, 10)) do
    redis.call('DEL', control .. 'request:' .. old)
    redis.call('ZREM', ages, old)
  end
  return {'ok'}
end

function operations.settle(a)
  local key = control .. 'request:' .. a.name
  if redis.call('EXISTS', key) == 1 then
    for name, value in pairs(a.fields) do
      redis.call('HSET', key, name, value)
    end
  end
  return {'ok'}
end

function operations.forget(a)
  redis.call('DEL', control .. 'request:' .. a.name)
  redis.call('ZREM', control .. 'requests', a.name)
  return {'ok'}
end

-- -- audit log -----------------------------------------------------------------------------------

-- Add a record behind the one that the caller has seen last. Else the answer is the last there is.
function operations.append_audit(a)
  local last = redis.call('HMGET', control .. 'audit:last', 'id', 'digest')
  local id = last[1] or '0'
  if id ~= a.after then
    return {'ok', id, last[2]}, true
  end
  local new = string.format('%d', tonumber(id) + 1)
  redis.call('XADD', control .. 'audit', new .. '-0', 'entry', a.entry, 'digest', a.digest)
  redis.call('ZADD', control .. 'audit:of:' .. a.tenant, new, new)
  redis.call('HSET', control .. 'audit:last', 'id', new, 'digest', a.digest)
  return {'ok'}
end

-- -- webhooks ------------------------------------------------------------------------------------

function operations.add_webhook(a)
  redis.call('HSETNX', control .. 'webhooks', a.id, a.record)
  return {'ok', redis.call('HGET', control .. 'webhooks', a.id)}
end

function operations.replace_webhook(a)
  return replace(control .. 'webhooks', a)
end

function operations.follow(a)
  for _, job in ipairs(a.jobs) do
    redis.call('HSETNX', control .. 'positions', job, 0)
    redis.call('ZADD', control .. 'positions:open', 0, job)
  end
  return {'ok'}
end

-- -- deliveries ----------------------------------------------------------------------------------

local FIELDS = {
  'id', 'webhook_id', 'topic', 'body', 'state', 'attempts', 'created_at', 'due_at', 'status', 'error',
}

local function key_of(delivery)
  return control .. 'delivery:' .. delivery
end

-- The index of the deliveries of a state: pending ones by when they are due, others by their age.
local function index(state)
  return control .. 'deliveries:' .. state
end

-- Write a delivery, new or not, and put it into its indices.
local function keep(delivery)
  local id = delivery.id
  local state = redis.call('HGET', key_of(id), 'state')
  if state then
    redis.call('ZREM', index(state), id)
  else
    local seq = redis.call('INCR', control .. 'last_delivery')
    redis.call('HSET', key_of(id), 'seq', seq)
    redis.call('ZADD', control .. 'deliveries:of:' .. delivery.webhook_id, seq, id)
  end
  put(key_of(id), FIELDS, delivery)
  local score = delivery.state == 'pending' and delivery.due_at or delivery.created_at
  redis.call('ZADD', index(delivery.state), score, id)
end

local function drop(id)
  local found = redis.call('HMGET', key_of(id), 'state', 'webhook_id')
  redis.call('ZREM', index(found[1]), id)
  redis.call('ZREM', control .. 'deliveries:of:' .. found[2], id)
  redis.call('DEL', key_of(id))
end

function operations.enqueue(a)
  redis.call('HSET', control .. 'positions', a.job, a.position)
  if given(a.closed) then
    redis.call('ZREM', control .. 'positions:open', a.job)
  else
    redis.call('ZADD', control .. 'positions:open', 0, a.job)
  end
  for _, delivery in ipairs(a.deliveries) do
    -- Two control planes may have read the same event: it goes out once.
    if redis.call('EXISTS', key_of(delivery.id)) == 0 then
      keep(delivery)
    end
  end
  return {'ok'}
end

function operations.put_delivery(a)
  local delivery = a.delivery
  -- A delivery under way may have lost its webhook: it is not brought back.
  if redis.call('EXISTS', key_of(delivery.id)) == 1
    or redis.call('HGET', control .. 'webhooks', delivery.webhook_id) then
    keep(delivery)
  end
  return {'ok'}
end

function operations.take_due(a)
  local limit, rows, passed = tonumber(a.limit), {}, 0
  while #rows < limit do
    -- Those that are taken leave the range: only those passed over are still in front.
    local ids = redis.call('ZRANGEBYSCORE', index('pending'), '-inf', a.now, 'LIMIT', passed, limit)
    if #ids == 0 then
      break
    end
    for _, id in ipairs(ids) do
      if a.leave[redis.call('HGET', key_of(id), 'webhook_id')] or #rows == limit then
        passed = passed + 1
      else
        rows[#rows + 1] = record(key_of(id))
        redis.call('HSET', key_of(id), 'due_at', a.again)
        redis.call('ZADD', index('pending'), a.again, id)
      end
    end
  end
  return {'ok', rows}, #rows == 0
end

function operations.deliveries(a)
  local below = '+inf'
  if given(a.after) then
    below = '(' .. (redis.call('HGET', key_of(a.after), 'seq') or '0')
  end
  local rows = redis.call(
    'ZREVRANGEBYSCORE', control .. 'deliveries:of:' .. a.webhook, below, '-inf', 'LIMIT', 0, a.limit
  )
  for i, id in ipairs(rows) do
    rows[i] = record(key_of(id))
  end
  return {'ok', rows}
end

-- Take away the webhook and so many of its deliveries; the answer is how many those were.
function operations.remove_webhook(a)
  redis.call('HDEL', control .. 'webhooks', a.id)
  local of = control .. 'deliveries:of:' .. a.id
  local ids = redis.call('ZRANGEBYSCORE', of, '-inf', '+inf', 'LIMIT', 0, a.limit)
  for _, id in ipairs(ids) do
    drop(id)
  end
  return {'ok', #ids}
end

-- Drop so many deliveries of a state that are older; the answer is how many those were.
function operations.trim_deliveries(a)
  local ids = redis.call(
    'ZRANGEBYSCORE', index(a.state), '-inf', '(' .. a.before, 'LIMIT', 0, a.limit
  )
  for _, id in ipairs(ids) do
    drop(id)
  end
  return {'ok', #ids}
end

-- Every write of the Redis job store, and the list of jobs; frame.lua stands around it.
--
-- KEYS[1] is the hash of the job, where the operation is about one. The answer begins with ok,
-- missing, stale, revision or illegal. The tables ACTIVE, ENDED, RESUMABLE, LEGAL, AFTER, SETTLED
-- and LEVELS stand before this text: services/stores/lifecycle.py as data.

local job = KEYS[1]

-- Why an operation may not be done; nothing when it may.
function refusal(a)
  local found = redis.call('HMGET', job, 'state', 'attempt', 'revision')
  local state, attempt, revision = found[1], found[2], found[3]
  if not state then
    return {'missing'}
  end
  if given(a.attempt) and (a.attempt ~= attempt or (a.alive and not ACTIVE[state])) then
    return {'stale', attempt, state}
  end
  if given(a.revision) and a.revision ~= revision then
    return {'revision', revision}
  end
end

local function illegal()
  local found = redis.call('HMGET', job, 'state', 'held')
  return {'illegal', found[1], found[2] or ''}
end

-- Whether what carries this mark of a driver's journal is there already; notes it where it is not.
local function is_known(mark)
  if not given(mark) then
    return false
  end
  local found = redis.call('HMGET', job, 'journal_attempt', 'journal_number')
  local attempt, number = tonumber(found[1] or 0), tonumber(found[2] or 0)
  local of, at = tonumber(mark.attempt), tonumber(mark.number)
  if of < attempt or (of == attempt and at <= number) then
    return true
  end
  redis.call('HSET', job, 'journal_attempt', mark.attempt, 'journal_number', mark.number)
  return false
end

local function id_of(command)
  return tonumber(string.match(command, '^%d+'))
end

-- Leave those of the job's commands that pass.
local function keep_commands(passes)
  local all = redis.call('LRANGE', job .. ':commands', 0, -1)
  redis.call('DEL', job .. ':commands')
  for _, command in ipairs(all) do
    if passes(command) then
      redis.call('RPUSH', job .. ':commands', command)
    end
  end
end

local EVENT = {'type', 'message', 'level', 'attempt', 'data', 'author', 'reason'}

local function add_event(event)
  local id = redis.call('HINCRBY', job, 'last_event', 1)
  local row = {'time', given(event.at) and event.at or now}
  for _, name in ipairs(EVENT) do
    if given(event[name]) then
      row[#row + 1] = name
      row[#row + 1] = event[name]
    end
  end
  redis.call('XADD', job .. ':events', id .. '-0', unpack(row))
  return id
end

local function change(fields)
  for name, value in pairs(fields) do
    if given(value) then
      redis.call('HSET', job, name, value)
    else
      redis.call('HDEL', job, name)
    end
  end
  redis.call('HSET', job, 'updated_at', now)
  redis.call('HINCRBY', job, 'revision', 1)
end

-- Give the job a state: its indices and its log.
local function enter(state, attempt, a)
  local found = redis.call('HMGET', job, 'id', 'seq', 'state', 'scopes')
  local id, seq, old = found[1], found[2], found[3]
  for _, scope in ipairs(cjson.decode(found[4])) do
    local index = prefix .. 'index:' .. scope .. ':'
    redis.call('ZREM', index .. old, id)
    redis.call('ZADD', index .. state, seq, id)
  end
  redis.call('ZREM', prefix .. 'ended', id)
  if ENDED[state] then
    redis.call('ZADD', prefix .. 'ended', now, id)
  end
  redis.call('HSET', job, 'state', state)
  local cause = given(a.cause) and cjson.encode(a.cause) or 'null'
  add_event({
    type = 'state',
    message = state .. (given(a.cause) and ': ' .. a.cause or ''),
    level = LEVELS[state] or 'info',
    attempt = attempt,
    data = string.format('{"from":"%s","to":"%s","cause":', old, state) .. cause
      .. (given(a.from_step) and ',"from_step":' .. a.from_step or '') .. '}',
    author = a.author,
    reason = a.reason,
  })
end

function operations.create(a)
  if redis.call('EXISTS', job) == 1 then
    return {'ok', record(job)}
  end
  local seq = redis.call('INCR', prefix .. 'last_job')
  local fields = {'seq', seq, 'state', 'queued', 'attempt', '1', 'revision', '1'}
  for name, value in pairs(a.fields) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  -- A clock that was set back does not put a job before an older one.
  local last = redis.call('GET', prefix .. 'last_created')
  local created = last and tonumber(last) > tonumber(now) and last or now
  redis.call('SET', prefix .. 'last_created', created)
  redis.call('HSET', job, 'created_at', created, 'updated_at', created, unpack(fields))
  local id = a.fields.id
  for _, scope in ipairs(cjson.decode(a.fields.scopes)) do
    redis.call('ZADD', prefix .. 'index:' .. scope .. ':queued', seq, id)
  end
  for _, index in ipairs(cjson.decode(a.fields.indices)) do
    redis.call('ZADD', prefix .. 'index:' .. index, seq, id)
  end
  redis.call('ZADD', prefix .. 'created', created, id)
  add_event({
    type = 'created', message = a.message, level = 'info', attempt = '1', data = a.data,
    author = a.author, reason = a.reason,
  })
  return {'ok', record(job)}
end

function operations.begin_attempt(a)
  if not RESUMABLE[redis.call('HGET', job, 'state')] then
    return illegal()
  end
  local attempt = tostring(redis.call('HINCRBY', job, 'attempt', 1))
  for _, name in ipairs({
    'cause', 'started_at', 'finished_at', 'heartbeat_at', 'progress', 'stage',
    'ray_submission_id', 'cancel_requested_at', 'cancel_grace_seconds', 'commands_taken',
  }) do
    redis.call('HDEL', job, name)
  end
  change({})
  keep_commands(function(command) return string.match(command, '^%d+ stage ') end)
  enter('queued', attempt, a)
  return {'ok', record(job)}
end

function operations.set_state(a)
  local found = redis.call('HMGET', job, 'state', 'held', 'attempt', 'cancel_requested_at')
  local state, held, attempt, cancelling = found[1], found[2], found[3], found[4]
  local target = cancelling and SETTLED[a.state] or a.state
  if target == state then
    return {'ok', record(job)}
  end
  local may = LEGAL[state]
  if state == 'reconciling' then
    may = held == target and {[target] = true} or LEGAL[held]
  end
  if target == 'queued' or not may[target] then
    return illegal()
  end
  if target ~= a.state then
    a.cause = 'cancelled on request'
  end
  local fields = {cause = a.cause or cjson.null, finished_at = ACTIVE[target] and cjson.null or now}
  fields.held = target == 'reconciling' and state or cjson.null
  if state == 'queued' and ACTIVE[target] then
    fields.started_at = now
  end
  change(fields)
  enter(target, attempt, a)
  return {'ok', record(job)}
end

function operations.submission(a)
  redis.call('HSET', job, 'ray_submission_id', a.name, 'updated_at', now)
  return {'ok'}
end

function operations.heartbeat(a)
  redis.call('HSET', job, 'heartbeat_at', now, 'progress', a.progress, 'updated_at', now)
  if given(a.stage) then
    redis.call('HSET', job, 'stage', a.stage)
  else
    redis.call('HDEL', job, 'stage')
  end
  return {'ok'}
end

function operations.append_event(a)
  return {'ok', is_known(a.mark) and 0 or add_event(a)}
end

function operations.append_metrics(a)
  if is_known(a.mark) then
    return {'ok'}
  end
  redis.call('ZREMRANGEBYSCORE', job .. ':metrics', a.step, a.step)
  redis.call('ZADD', job .. ':metrics', a.step, a.record)
  return {'ok'}
end

function operations.truncate_metrics(a)
  return {'ok', redis.call('ZREMRANGEBYSCORE', job .. ':metrics', '(' .. a.after, '+inf')}
end

function operations.send_command(a)
  local found = redis.call('HMGET', job, 'state', 'held', 'attempt')
  local state, held, attempt = found[1], found[2], found[3]
  local after = AFTER[a.kind][state == 'reconciling' and held or state]
  if not after then
    return illegal()
  end
  local id = redis.call('INCR', prefix .. 'last_command')
  redis.call('RPUSH', job .. ':commands', id .. ' ' .. a.kind .. ' ' .. a.command)
  add_event({
    type = 'command', message = a.message, level = 'info', data = a.data,
    author = a.author, reason = a.reason,
  })
  if a.kind == 'cancel' then
    redis.call('HSETNX', job, 'cancel_requested_at', now)
    if given(a.grace) then
      redis.call('HSET', job, 'cancel_grace_seconds', a.grace)
    end
  end
  if state == 'reconciling' then
    -- Of a job that cannot be observed, what it is seen as later changes.
    change({held = after})
  else
    change({})
    if after ~= state then
      enter(after, attempt, {author = a.author, reason = a.reason})
    end
  end
  return {'ok', id}
end

-- Commands stay in their list until they are settled; how far they were taken is a field of the job.
function operations.take_commands(a)
  local taken = tonumber(redis.call('HGET', job, 'commands_taken') or 0)
  local after = given(a.after) and tonumber(a.after) or taken
  local waiting, last = {}, taken
  for _, command in ipairs(redis.call('LRANGE', job .. ':commands', 0, -1)) do
    local id = id_of(command)
    if id > after then
      waiting[#waiting + 1] = command
      last = math.max(last, id)
    end
  end
  if last > taken then
    redis.call('HSET', job, 'commands_taken', string.format('%d', last))
  end
  return {'ok', waiting}, last == taken
end

function operations.settle_commands(a)
  local through = tonumber(a.through)
  keep_commands(function(command)
    local id = id_of(command)
    return id > through and not a.also[string.format('%d', id)]
  end)
  return {'ok'}
end

function operations.trim(a)
  if given(a.events) then
    redis.call('XTRIM', job .. ':events', 'MAXLEN', a.events)
  end
  if given(a.metrics) then
    redis.call('ZREMRANGEBYRANK', job .. ':metrics', 0, -(tonumber(a.metrics) + 1))
  end
  return {'ok'}
end

function operations.remove_ended(a)
  local ids = redis.call(
    'ZRANGEBYSCORE', prefix .. 'ended', '-inf', '(' .. a.before, 'LIMIT', 0, a.limit
  )
  for _, id in ipairs(ids) do
    local key = prefix .. 'job:' .. id
    local found = redis.call('HMGET', key, 'state', 'scopes', 'indices')
    redis.call('ZREM', prefix .. 'ended', id)
    redis.call('ZREM', prefix .. 'created', id)
    for _, scope in ipairs(cjson.decode(found[2])) do
      redis.call('ZREM', prefix .. 'index:' .. scope .. ':' .. found[1], id)
    end
    for _, index in ipairs(cjson.decode(found[3])) do
      redis.call('ZREM', prefix .. 'index:' .. index, id)
    end
    redis.call('DEL', key, key .. ':events', key .. ':metrics', key .. ':commands')
  end
  return {'ok', ids}
end

-- Whether a job passes the filters of a list.
local function matches(key, a)
  local found = redis.call('HMGET', key, 'state', 'stage', 'labels')
  local state, stage = found[1], found[2] or ''
  local labels = next(a.labels) and cjson.decode(found[3])
  if given(a.states) and not a.states[state] then
    return false
  end
  -- From the second cycle on, the label of a stage has the cycle's number behind a dot.
  if given(a.stage) and stage ~= a.stage
    and string.sub(stage, 1, #a.stage + 1) ~= a.stage .. '.' then
    return false
  end
  for name, value in pairs(a.labels) do
    if labels[name] ~= value then
      return false
    end
  end
  for name, value in pairs(a.equal) do
    if redis.call('HGET', key, name) ~= value then
      return false
    end
  end
  return true
end

-- The position of the first or last job by time of creation; times of creation never fall, so a
-- time is a place in the order. Nothing when there is no such job.
local function position(found)
  return found[1] and tonumber(redis.call('HGET', prefix .. 'job:' .. found[1], 'seq'))
end

-- Jobs below a position, newest first: at most `limit` of them and at most `scan` looked at from
-- each index. After them the position to go on from, or nothing when no job is left.
function operations.list(a)
  local created = prefix .. 'created'
  local below, least = a.below, '-inf'
  if given(a.created_before) then
    local last = position(redis.call(
      'ZREVRANGEBYSCORE', created, '(' .. a.created_before, '-inf', 'LIMIT', 0, 1
    ))
    if not last then
      return {'ok', {}, ''}
    end
    if below == '+inf' or last + 1 < tonumber(below) then
      below = string.format('%d', last + 1)
    end
  end
  if given(a.created_after) then
    local first = position(redis.call(
      'ZRANGEBYSCORE', created, a.created_after, '+inf', 'LIMIT', 0, 1
    ))
    if not first then
      return {'ok', {}, ''}
    end
    least = string.format('%d', first)
  end
  local found, floor = {}, -1
  for _, index in ipairs(a.indices) do
    local part = redis.call(
      'ZREVRANGEBYSCORE', prefix .. 'index:' .. index, '(' .. below, least,
      'WITHSCORES', 'LIMIT', 0, a.scan
    )
    for i = 1, #part, 2 do
      found[#found + 1] = {id = part[i], seq = tonumber(part[i + 1])}
    end
    if #part == 2 * tonumber(a.scan) then
      -- There may be more in this index below its last, so nothing below that has its place yet.
      floor = math.max(floor, tonumber(part[#part]))
    end
  end
  table.sort(found, function(x, y) return x.seq > y.seq end)
  local rows = {}
  for _, candidate in ipairs(found) do
    if candidate.seq < floor then
      break
    end
    local key = prefix .. 'job:' .. candidate.id
    if matches(key, a) then
      rows[#rows + 1] = record(key)
      if #rows == tonumber(a.limit) then
        return {'ok', rows, string.format('%d', candidate.seq)}
      end
    end
  end
  return {'ok', rows, floor >= 0 and string.format('%d', floor) or ''}
end

function operations.hold(a)
  local key = prefix .. 'lease:' .. a.name
  local owner = redis.call('GET', key)
  if owner and owner ~= a.owner then
    return {'ok', 0}
  end
  redis.call('SET', key, a.owner, 'PX', a.milliseconds)
  return {'ok', 1}
end

function operations.release(a)
  local key = prefix .. 'lease:' .. a.name
  if redis.call('GET', key) == a.owner then
    redis.call('DEL', key)
  end
  return {'ok'}
end

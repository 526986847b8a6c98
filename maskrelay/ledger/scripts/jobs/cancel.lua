-- cancel(job, reason) → the state before. Nothing new is claimed; what is in flight may settle.
local job, reason = ARGV[1], ARGV[2]
local state = get(job, 'state')
if state and move(job, 'cancelling') then
  set(job, 'cancel', reason)
  redis.call('UNLINK', job_key(job, 'due'), job_key(job, 'suspects'))
  step_ends('plan', job)
  unready(job)
  check_done(job)
end
return state

-- Redis with a full memory refuses a script whose first write may need some, but lets all pass behind one that never does.
-- Scripts that work off what waits begin with it; those that bring more do not.
redis.call('DEL', P .. 'nothing')

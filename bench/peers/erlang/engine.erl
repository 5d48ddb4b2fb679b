%% The engine's work of bench/engine, done by Erlang processes. Orders come as terms on stdin, one a line; each is answered
%% by a line `Nanoseconds Messages Checksum Bytes EndNanoseconds`. Times are the VM's monotonic clock, inside the VM.
%%
%% Tuning: compiled by erlc, run by the JIT; receivers have a heap large enough not to grow while it measures, where
%% there are few of them, and keep deep mailboxes off it (half as fast again); everything else as the VM comes: larger
%% heaps, queues off the heap for all, and no busy waiting gave nothing or less.
-module(engine).
-export([main/0, init/1, handle_call/3, handle_cast/2]).
-behaviour(gen_server).

main() ->
    io:format("~p ~s~n", [erlang:system_info(emu_flavor), erlang:system_info(otp_release)]),
    orders().

orders() ->
    case io:read('') of
        {ok, Order} ->
            %% A process of its own for each order: it starts with a clean heap.
            Self = self(),
            spawn_opt(fun() -> Self ! {answer, order(Order)} end, [{min_heap_size, 1 bsl 18}]),
            receive
                {answer, {Ns, Count, Sum}} -> io:format("~p ~p ~p 0 0~n", [Ns, Count, Sum]);
                {answer, {Ns, Count, Sum, Bytes, EndNs}} -> io:format("~p ~p ~p ~p ~p~n", [Ns, Count, Sum, Bytes, EndNs])
            end,
            orders();
        _ -> halt()
    end.

order({tell, Actors, Burst, Count}) -> tell(Actors, Burst, Count);
order({ring, Actors, Count}) -> ring(Actors, Count);
order({ask, plain, InFlight, Count}) -> ask_plain(InFlight, Count);
order({ask, call, 1, Count}) -> ask_call(Count);
order({depth, Depth, Count}) -> depth(Depth, Count);
order({cross, Burst, Count}) -> cross(fun({Pid}) -> bursts({Pid}, 1, Burst, Count, 0) end, fun() -> adder(0) end, Count);
order({cross_ask, InFlight, Count}) ->
    cross(fun({Pid}) -> ask_rounds(Pid, InFlight, Count, 0, 0) end, fun() -> answerer(0) end, Count);
order({wake, Actors}) -> wake(Actors).

%% ---- an actor: adds what it is told, says its sum when asked

start(Actors) -> [spawn_opt(fun() -> adder(0) end, heap(Actors)) || _ <- lists:seq(1, Actors)].

heap(Actors) when Actors =< 64 -> [{min_heap_size, 1 bsl 16}];
heap(_) -> [].

adder(Sum) ->
    receive
        {add, N, _From} -> adder(Sum + N);
        {sum, From} -> From ! {sum, Sum}, adder(Sum);
        stop -> ok
    end.

sums(Pids) ->
    [Pid ! {sum, self()} || Pid <- Pids],
    lists:sum([receive {sum, Sum} -> Sum end || _ <- Pids]).

stop(Pids) -> [Pid ! stop || Pid <- Pids], ok.

timed(Work) ->
    Started = erlang:monotonic_time(nanosecond),
    Result = Work(),
    {erlang:monotonic_time(nanosecond) - Started, Result}.

%% ---- tell: bursts to actors in turn; a burst ends when all of it has been handled

tell(Actors, Burst, Count) ->
    Pids = start(Actors),
    Tuple = list_to_tuple(Pids),
    sums(Pids),
    {Ns, _} = timed(fun() -> bursts(Tuple, Actors, Burst, Count, 0) end),
    Sum = sums(Pids),
    stop(Pids),
    {Ns, Count, Sum}.

bursts(_, _, _, Count, Count) -> ok;
bursts(Tuple, Actors, Burst, Count, From) ->
    To = min(From + Burst, Count),
    send(Tuple, Actors, From rem Actors, From, To),
    settle(Tuple, min(Actors, Burst)),
    bursts(Tuple, Actors, Burst, Count, To).

send(_, _, _, To, To) -> ok;
send(Tuple, Actors, At, Number, To) ->
    element(At + 1, Tuple) ! {add, Number band 1023, self()},
    send(Tuple, Actors, next(At + 1, Actors), Number + 1, To).

next(Actors, Actors) -> 0;
next(At, _) -> At.

%% The last one told has come to the end of its mailbox; with one scheduler all before it have, and the sums are
%% compared anyway.
settle(Tuple, Last) ->
    element(Last, Tuple) ! {sum, self()},
    receive {sum, _} -> ok end.

%% ---- ring: one token goes round

ring(Actors, Count) ->
    Self = self(),
    Pids = [spawn_opt(fun() -> receive {next, Next} -> node_of(Next, Self, 0) end end, heap(Actors)) || _ <- lists:seq(1, Actors)],
    lists:foreach(fun({Pid, Next}) -> Pid ! {next, Next} end, lists:zip(Pids, tl(Pids) ++ [hd(Pids)])),
    {Ns, _} = timed(fun() -> hd(Pids) ! {pass, Count, Self}, receive finished -> ok end end),
    Sum = sums(Pids),
    stop(Pids),
    {Ns, Count, Sum}.

node_of(Next, Driver, Sum) ->
    receive
        {pass, 1, _} -> Driver ! finished, node_of(Next, Driver, Sum + 1);
        {pass, Left, From} -> Next ! {pass, Left - 1, From}, node_of(Next, Driver, Sum + (Left band 1023));
        {sum, From} -> From ! {sum, Sum}, node_of(Next, Driver, Sum);
        stop -> ok
    end.

%% ---- ask: a question with a reference of its own and a deadline; plain, or as a gen_server is called

ask_plain(InFlight, Count) ->
    Pid = spawn_opt(fun() -> answerer(0) end, heap(1)),
    {Ns, Sum} = timed(fun() -> ask_rounds(Pid, InFlight, Count, 0, 0) end),
    Pid ! stop,
    {Ns, Count, Sum}.

ask_rounds(_, _, Count, Count, Sum) -> Sum;
ask_rounds(Pid, InFlight, Count, From, Sum) ->
    To = min(From + InFlight, Count),
    Refs = questions(Pid, From, To),
    ask_rounds(Pid, InFlight, Count, To, Sum + answers(Refs, 0)).

questions(_, To, To) -> [];
questions(Pid, Number, To) ->
    Ref = make_ref(),
    Pid ! {ask, self(), Ref, Number band 1023},
    [Ref | questions(Pid, Number + 1, To)].

answers([], Sum) -> Sum;
answers([Ref | Rest], Sum) ->
    receive {Ref, N} -> answers(Rest, Sum + N) after 5000 -> exit(timeout) end.

answerer(Count) ->
    receive
        {ask, From, Ref, N} -> From ! {Ref, N}, answerer(Count + 1);
        stop -> ok
    end.

ask_call(Count) ->
    {ok, Pid} = gen_server:start(?MODULE, 0, [{spawn_opt, heap(1)}]),
    {Ns, Sum} = timed(fun() -> calls(Pid, 0, Count, 0) end),
    gen_server:stop(Pid),
    {Ns, Count, Sum}.

calls(_, Count, Count, Sum) -> Sum;
calls(Pid, Number, Count, Sum) -> calls(Pid, Number + 1, Count, Sum + gen_server:call(Pid, {ask, Number band 1023}, 5000)).

init(State) -> {ok, State}.
handle_call({ask, N}, _From, State) -> {reply, N, State + 1}.
handle_cast(_, State) -> {noreply, State}.

%% ---- depth: a mailbox is filled while its process is suspended, and drained

depth(Depth, Count) ->
    Rounds = max(1, Count div Depth),
    Pid = spawn_opt(fun() -> adder(0) end, deep(Depth) ++ heap(1)),
    Pids = [Pid],
    {Ns, _} = timed(fun() -> fills(Pid, Depth, Rounds) end),
    Sum = sums(Pids),
    stop(Pids),
    {Ns, Depth * Rounds, Sum}.

deep(Depth) when Depth >= 10000 -> [{message_queue_data, off_heap}];
deep(_) -> [].

fills(_, _, 0) -> ok;
fills(Pid, Depth, Rounds) ->
    erlang:suspend_process(Pid),
    send({Pid}, 1, 0, 0, Depth),
    erlang:resume_process(Pid),
    settle({Pid}, 1),
    fills(Pid, Depth, Rounds - 1).

%% ---- cross: driver and receiver on schedulers of their own

cross(Drive, Receiver, Count) ->
    Self = self(),
    Pid = spawn_opt(Receiver, [{scheduler, 1}, {min_heap_size, 1 bsl 16}]),
    spawn_opt(
        fun() -> Self ! {done, timed(fun() -> Drive({Pid}) end)} end,
        [{scheduler, 2}, {min_heap_size, 1 bsl 16}]
    ),
    {Ns, Result} = receive {done, Taken} -> Taken end,
    Sum = if is_integer(Result) -> Result; true -> sums([Pid]) end,
    stop([Pid]),
    {Ns, Count, Sum}.

%% ---- wake: a process for each key, found through a table of keys, and its first message; then all end

wake(Actors) ->
    erlang:garbage_collect(),
    Table = ets:new(keys, [set, private]),
    Before = erlang:memory(total),
    {Ns, _} = timed(fun() -> wake_all(Table, 0, Actors), Last = lookup(Table, Actors - 1), settle({Last}, 1) end),
    Bytes = (erlang:memory(total) - Before) div Actors,
    Pids = [Pid || {_, Pid} <- ets:tab2list(Table)],
    Sum = sums(Pids),
    Monitors = [monitor(process, Pid) || Pid <- Pids],
    {EndNs, _} = timed(fun() ->
        stop(Pids),
        [receive {'DOWN', Monitor, _, _, _} -> ok end || Monitor <- Monitors]
    end),
    ets:delete(Table),
    {Ns, Actors, Sum, Bytes, EndNs}.

wake_all(_, Actors, Actors) -> ok;
wake_all(Table, Number, Actors) ->
    Pid = spawn(fun() -> adder(0) end),
    ets:insert(Table, {key(Number), Pid}),
    Pid ! {add, Number band 1023, self()},
    wake_all(Table, Number + 1, Actors).

lookup(Table, Number) -> ets:lookup_element(Table, key(Number), 2).
key(Number) -> <<"key", (integer_to_binary(Number))/binary>>.

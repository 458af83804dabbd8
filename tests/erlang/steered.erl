%% Lets a test steer the node that it runs in. Each line of standard input is an expression, ending in a full stop; its
%% value is printed in one line after `= `, or why there is none after `! `. Between them stand, as they happen, the
%% nodes that come and go: `+ TYPE NODE` and `- TYPE NODE REASON`. Other lines are the node's own log.
%%
%% Whoever started the node holds its standard input open, and the node ends with it.
-module(steered).
-export([start/0, gossip/2, beat/2, traffic/0, hear/1]).

start() ->
    spawn(fun() ->
        ok = net_kernel:monitor_nodes(true, [{node_type, all}, nodedown_reason]),
        tell("= ready", []),
        watch()
    end),
    spawn(fun obey/0).

watch() ->
    receive
        {nodeup, Node, Info} -> tell("+ ~s ~ts", [proplists:get_value(node_type, Info), Node]);
        {nodedown, Node, Info} ->
            Reason = proplists:get_value(nodedown_reason, Info),
            tell("- ~s ~ts ~0tp", [proplists:get_value(node_type, Info), Node, Reason])
    end,
    watch().

%% The node is started with -noinput: while OTP itself waits for a line it holds back what others print.
obey() ->
    Input = open_port({fd, 0, 0}, [in, eof, binary, {line, 100000}]),
    obey(Input).

obey(Input) ->
    receive
        {Input, {data, {eol, Line}}} -> evaluate(unicode:characters_to_list(Line)), obey(Input);
        {Input, eof} -> erlang:halt(0, [{flush, false}])
    end.

evaluate(Line) ->
    try
        {ok, Tokens, _} = erl_scan:string(Line),
        {ok, Expressions} = erl_parse:parse_exprs(Tokens),
        {value, Value, _} = erl_eval:exprs(Expressions, erl_eval:new_bindings()),
        tell("= ~0tp", [Value])
    catch
        Class:Reason -> tell("! ~0tp", [{Class, Reason}])
    end.

%% Does with heartbeats what Cluster.Strategy.Gossip of libcluster does when it hears one, and says what libcluster logs;
%% it sends none itself, so that whoever is heard is sure to be dialled from here.
gossip(Port, Group) ->
    Caller = self(),
    spawn(fun() ->
        Loopback = {127, 0, 0, 1},
        {ok, Socket} = gen_udp:open(Port, [
            binary, {active, true}, {ip, {0, 0, 0, 0}}, {reuseaddr, true},
            {multicast_if, Loopback}, {add_membership, {Group, Loopback}}
        ]),
        Caller ! listening,
        listen(Socket)
    end),
    receive listening -> ok end.

listen(Socket) ->
    receive
        {udp, Socket, _, _, <<"heartbeat::", Bytes/binary>>} ->
            #{node := Node} = binary_to_term(Bytes),
            case lists:member(Node, [node() | nodes(connected)]) of
                true -> ok;
                false ->
                    case net_kernel:connect_node(Node) of
                        true -> tell("connected to ~ts", [Node]);
                        _ -> tell("unable to connect to ~ts", [Node])
                    end
            end;
        _ -> ok
    end,
    listen(Socket).

%% Sends heartbeats as libcluster does: one at once, and then after random times.
beat(Port, Group) ->
    spawn(fun() ->
        {ok, Socket} = gen_udp:open(0, [binary, {multicast_if, {127, 0, 0, 1}}, {multicast_loop, true}]),
        beat(Socket, Port, Group)
    end),
    ok.

beat(Socket, Port, Group) ->
    Heartbeat = <<"heartbeat::", (term_to_binary(#{node => node()}))/binary>>,
    ok = gen_udp:send(Socket, Group, Port, Heartbeat),
    timer:sleep(rand:uniform(5000)),
    beat(Socket, Port, Group).

%% Sends numbered messages to all linked nodes from now on, and counts what comes from each of them.
traffic() ->
    Caller = self(),
    spawn(fun() ->
        register(traffic, self()),
        Caller ! registered,
        {ok, _} = timer:send_interval(5, send),
        flow(0, #{}, 0)
    end),
    receive registered -> ok end.

%% Waits until so many more messages have come from each linked node, and says how many nodes these are and how many
%% messages were missing so far.
hear(More) -> hear(More, element(1, heard())).

hear(More, Before) ->
    {Heard, Missing} = heard(),
    Enough = fun(Node) -> maps:get(Node, Heard, 0) >= maps:get(Node, Before, 0) + More end,
    case lists:all(Enough, nodes()) of
        true -> {length(nodes()), Missing};
        false -> timer:sleep(5), hear(More, Before)
    end.

heard() ->
    traffic ! {heard, self()},
    receive {heard, Heard, Missing} -> {Heard, Missing} end.

flow(Sent, Heard, Missing) ->
    receive
        send ->
            [{traffic, Node} ! {number, node(), Sent} || Node <- nodes()],
            flow(Sent + 1, Heard, Missing);
        {number, Node, Number} ->
            {Count, Expected} = maps:get(Node, Heard, {0, Number}),
            flow(Sent, Heard#{Node => {Count + 1, Number + 1}}, Missing + abs(Number - Expected));
        {heard, Caller} ->
            Caller ! {heard, maps:map(fun(_, {Count, _}) -> Count end, Heard), Missing},
            flow(Sent, Heard, Missing)
    end.

tell(Format, Values) -> io:format(Format ++ "\n", Values).

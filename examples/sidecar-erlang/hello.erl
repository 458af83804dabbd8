%% A service in Erlang: it says which nodes it is linked to. Nothing in it knows how they are found.
-module(hello).
-export([start/0]).

start() ->
    spawn(fun() ->
        ok = net_kernel:monitor_nodes(true),
        %% Some may have been faster.
        [greet(Node) || Node <- nodes()],
        loop()
    end).

greet(Node) -> io:format("~s: hello ~s~n", [node(), Node]).

loop() ->
    receive
        {nodeup, Node} -> greet(Node);
        {nodedown, Node} -> io:format("~s: goodbye ~s~n", [node(), Node])
    end,
    loop().

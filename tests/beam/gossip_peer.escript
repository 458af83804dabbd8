#!/usr/bin/env escript
%%! +B
%% What Cluster.Strategy.Gossip of libcluster 3.5 does on the wire, with the same functions of OTP: the same socket
%% options, term_to_binary and binary_to_term (not safe), crypto with the hashed secret, a heartbeat at once and then
%% after random times. It prints each heartbeat that it understands.
%%
%%     gossip_peer.escript PORT GROUP NODE MINOR_VERSION [SECRET]
-mode(compile).

main([Port, Group, Node, Version | Secret]) ->
    ok = io:setopts([{encoding, unicode}]),
    {ok, Address} = inet:parse_address(Group),
    Loopback = {127, 0, 0, 1},
    {ok, Socket} = gen_udp:open(list_to_integer(Port), [
        binary, {active, true}, {ip, {0, 0, 0, 0}}, {reuseaddr, true},
        {multicast_if, Loopback}, {multicast_ttl, 1}, {multicast_loop, true}, {add_membership, {Address, Loopback}}
    ]),
    %% Whoever started it holds its standard input open, and this ends with it.
    spawn(fun() -> eof = io:get_line(""), halt(0) end),
    beat(#{
        socket => Socket, address => Address, port => list_to_integer(Port), node => list_to_atom(Node),
        version => list_to_integer(Version), secret => case Secret of [] -> none; [Text] -> unicode:characters_to_binary(Text) end
    }).

beat(#{socket := Socket, address := Address, port := Port} = State) ->
    ok = gen_udp:send(Socket, Address, Port, seal(payload(State), State)),
    erlang:send_after(rand:uniform(5000), self(), heartbeat),
    listen(State).

listen(#{node := Self} = State) ->
    receive
        heartbeat -> beat(State);
        {udp, _, _, _, Packet} ->
            case unseal(Packet, State) of
                {ok, <<"heartbeat::", Bytes/binary>>} ->
                    case binary_to_term(Bytes) of
                        #{node := Self} -> ok;
                        #{node := Node} when is_atom(Node) -> io:format("heard ~ts~n", [Node]);
                        Other -> io:format("ignored ~tp~n", [Other])
                    end;
                _ -> ok
            end,
            listen(State)
    end.

payload(#{node := Node, version := Version}) ->
    <<"heartbeat::", (term_to_binary(#{node => Node}, [{minor_version, Version}]))/binary>>.

seal(Payload, #{secret := none}) -> Payload;
seal(Payload, #{secret := Secret}) ->
    Vector = crypto:strong_rand_bytes(16),
    Fill = 16 - byte_size(Payload) rem 16,
    Padded = <<Payload/binary, (binary:copy(<<Fill>>, Fill))/binary>>,
    <<Vector/binary, (crypto:crypto_one_time(aes_256_cbc, key(Secret), Vector, Padded, true))/binary>>.

unseal(Packet, #{secret := none}) -> {ok, Packet};
unseal(<<Vector:16/binary, Sealed/binary>>, #{secret := Secret}) when byte_size(Sealed) rem 16 =:= 0, Sealed =/= <<>> ->
    Padded = crypto:crypto_one_time(aes_256_cbc, key(Secret), Vector, Sealed, false),
    Fill = binary:last(Padded),
    Length = byte_size(Padded) - Fill,
    case Padded of
        <<Payload:Length/binary, Rest/binary>> when Fill =< 16 ->
            case binary:copy(<<Fill>>, Fill) of Rest -> {ok, Payload}; _ -> bad end;
        _ -> bad
    end;
unseal(_, _) -> bad.

key(Secret) -> crypto:hash(sha256, Secret).

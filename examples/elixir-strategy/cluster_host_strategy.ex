defmodule ClusterHost.Strategy do
  @moduledoc """
  A strategy for libcluster that takes the members from the `cluster-host` beside the node. The node makes and cuts its
  links itself, as with any strategy of libcluster; the host needs no cookie. Copy this file into your project:

      topologies: [
        office: [strategy: ClusterHost.Strategy, config: [socket: "/run/cluster-host.sock", polling_interval: 5_000]]
      ]

  The host's topologies have `connect = "none"`. Members that are up are connected, when the host tells a change and at
  each poll. Who is not listed for `disconnect_after` (30_000) milliseconds is disconnected: a host that was started again
  needs some time to find the members anew. A read that fails cuts nobody: who was listed before it is forgotten.
  """
  use GenServer
  use Cluster.Strategy
  require Logger
  alias Cluster.{Strategy, Strategy.State}
  @timeout 5_000
  @settle 50

  @impl true
  def start_link(args), do: GenServer.start_link(__MODULE__, args)

  # `seen` has when each member was listed last.
  @impl true
  def init([%State{} = state]) do
    send(self(), :poll)
    {:ok, %State{state | meta: %{seen: %{}, stream: nil}}}
  end

  @impl true
  def handle_info(:poll, state) do
    Process.send_after(self(), :poll, option(state, :polling_interval, 5_000))
    {:noreply, state |> follow() |> look()}
  end

  # The stream of events is no more than a bell, and many changes cost one look.
  def handle_info({:tcp, stream, _event}, state) do
    Process.send_after(self(), {:changed, stream}, @settle)
    {:noreply, state}
  end

  def handle_info({:changed, stream}, state) do
    :inet.setopts(stream, active: :once)
    {:noreply, look(state)}
  end

  # The host has ended; the next poll follows its successor.
  def handle_info({:tcp_closed, _stream}, state), do: {:noreply, put(state, :stream, nil)}
  def handle_info(_other, state), do: {:noreply, state}

  defp follow(state) do
    with nil <- state.meta.stream,
         {:ok, stream} <- request(state, "/v1/events", "text/event-stream", active: :once) do
      put(state, :stream, stream)
    else
      _followed_or_failed -> state
    end
  end

  defp look(state) do
    with {:ok, socket} <- request(state, "/v1/members", "text/plain", active: false),
         {:ok, "HTTP/1.1 200" <> _ = answer} <- receive_all(socket, ""),
         [_head, body] <- String.split(answer, "\r\n\r\n", parts: 2),
         {:ok, lines} <- chunks(body, "") do
      # Each is `STATE NAME`; there are no more than the host's `members_max`, so the names may become atoms.
      members = Regex.scan(~r/^(\S+) (.+)$/m, lines, capture: :all_but_first)
      link(state, for([condition, name] <- members, do: {condition, String.to_atom(name)}))
    else
      error ->
        Logger.warning("[#{state.topology}] no members from cluster-host: #{inspect(error)}")
        put(state, :seen, %{})
    end
  end

  defp link(%State{topology: topology, list_nodes: list} = state, members) do
    now = System.monotonic_time(:millisecond)
    Strategy.connect_nodes(topology, state.connect, list, for({"up", node} <- members, node != node(), do: node))
    seen = Map.merge(state.meta.seen, Map.new(members, fn {_condition, node} -> {node, now} end))
    deadline = now - option(state, :disconnect_after, 30_000)
    gone = for {node, at} <- seen, at < deadline, node != node(), do: node

    case Strategy.disconnect_nodes(topology, state.disconnect, list, gone) do
      :ok -> put(state, :seen, Map.drop(seen, gone))
      {:error, failed} -> put(state, :seen, Map.drop(seen, gone -- Keyword.keys(failed)))
    end
  end

  defp request(state, path, accept, mode) do
    socket = option(state, :socket, "/run/cluster-host.sock")
    head = "GET #{path} HTTP/1.1\r\nHost: localhost\r\nAccept: #{accept}\r\nConnection: close\r\n\r\n"

    with {:ok, socket} <- :gen_tcp.connect({:local, socket}, 0, [:binary | mode], @timeout),
         :ok <- :gen_tcp.send(socket, head),
         do: {:ok, socket}
  end

  defp receive_all(socket, answer) do
    case :gen_tcp.recv(socket, 0, @timeout) do
      {:ok, more} ->
        receive_all(socket, answer <> more)

      {:error, reason} ->
        :gen_tcp.close(socket)
        if reason == :closed, do: {:ok, answer}, else: {:error, reason}
    end
  end

  # The last chunk is empty. An answer without it broke off, and half a list would disconnect the other half.
  defp chunks("0\r\n" <> _, text), do: {:ok, text}

  defp chunks(body, text) do
    with {size, "\r\n" <> rest} <- Integer.parse(body, 16),
         <<piece::binary-size(size), "\r\n", rest::binary>> <- rest,
         do: chunks(rest, text <> piece)
  end

  defp option(state, key, default), do: Keyword.get(state.config, key, default)
  defp put(state, key, value), do: %State{state | meta: Map.put(state.meta, key, value)}
end

# What a strategy sees of libcluster, for a test of one without libcluster: the state that it is started with, and the two
# functions that link and cut. Written anew from how they behave.

defmodule Cluster.Strategy.State do
  defstruct [
    :topology,
    :meta,
    connect: {:net_kernel, :connect_node, []},
    disconnect: {:erlang, :disconnect_node, []},
    list_nodes: {:erlang, :nodes, [:connected]},
    config: []
  ]
end

defmodule Cluster.Strategy do
  @callback child_spec([struct]) :: Supervisor.child_spec()
  @callback start_link([struct]) :: {:ok, pid} | :ignore | {:error, term}

  defmacro __using__(_options) do
    quote do
      @behaviour Cluster.Strategy

      @impl true
      def child_spec(args), do: %{id: __MODULE__, type: :worker, start: {__MODULE__, :start_link, [args]}}
      defoverridable child_spec: 1
    end
  end

  @doc "Links those that are not linked yet; `{:error, [{node, reason}]}` tells which could not be."
  def connect_nodes(topology, connect, list_nodes, nodes) do
    missing = nodes -- [node() | linked(list_nodes)]
    verdict(for other <- missing, reason = failure(topology, "connect", call(connect, other), other), do: {other, reason})
  end

  @doc "Cuts those that are linked."
  def disconnect_nodes(topology, disconnect, list_nodes, nodes) do
    wanted = MapSet.new(nodes) |> MapSet.delete(node()) |> MapSet.intersection(MapSet.new(linked(list_nodes)))
    verdict(for other <- wanted, reason = failure(topology, "disconnect", call(disconnect, other), other), do: {other, reason})
  end

  defp linked({module, function, arguments}), do: apply(module, function, arguments)
  defp call({module, function, arguments}, other), do: apply(module, function, arguments ++ [other])

  defp failure(topology, what, true, other), do: tell(topology, "#{what}ed #{other}", nil)
  defp failure(topology, what, refusal, other) when refusal in [false, :ignored],
    do: tell(topology, "#{what} failed: #{other}", {refusal})

  defp tell(topology, line, failure) do
    IO.puts("[libcluster:#{topology}] #{line}")
    failure
  end

  defp verdict([]), do: :ok
  defp verdict(failed), do: {:error, failed |> Enum.map(fn {other, {refusal}} -> {other, refusal} end) |> Enum.reverse()}
end

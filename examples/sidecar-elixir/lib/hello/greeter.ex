defmodule Hello.Greeter do
  @moduledoc "Says hello to each node that comes."
  use GenServer
  require Logger

  def start_link(_args), do: GenServer.start_link(__MODULE__, nil)

  @impl true
  def init(nil) do
    :ok = :net_kernel.monitor_nodes(true)
    # Some may have been faster.
    Enum.each(Node.list(), &greet/1)
    {:ok, nil}
  end

  @impl true
  def handle_info({:nodeup, node}, state) do
    greet(node)
    {:noreply, state}
  end

  def handle_info({:nodedown, node}, state) do
    Logger.info("#{node()}: goodbye #{node}")
    {:noreply, state}
  end

  defp greet(node), do: Logger.info("#{node()}: hello #{node}")
end

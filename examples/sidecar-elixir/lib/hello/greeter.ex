defmodule Hello.Greeter do
  @moduledoc "Says hello to each node that comes."
  use GenServer
  require Logger

  def start_link(_args), do: GenServer.start_link(__MODULE__, nil)

  @impl true
  def init(nil) do
    :ok = :net_kernel.monitor_nodes(true)
    {:ok, nil}
  end

  @impl true
  def handle_info({:nodeup, node}, state) do
    Logger.info("#{node()}: hello #{node}")
    {:noreply, state}
  end

  def handle_info({:nodedown, node}, state) do
    Logger.info("#{node()}: goodbye #{node}")
    {:noreply, state}
  end
end

defmodule Hello.Application do
  @moduledoc "A service: it says which nodes it is linked to."
  use Application

  @impl true
  def start(_type, _args) do
    Supervisor.start_link([Hello.Greeter], strategy: :one_for_one)
  end
end

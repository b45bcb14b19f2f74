"""Runs what the configurations of collectors do with a line of the log, in engines of theirs.

Filebeat runs ECMAScript 5.1, Fluent Bit LuaJIT, Logstash Ruby, Vector VRL. Only what stands around
the programs is ours: the event that they are handed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, Final

import dukpy
import lupa.luajit21
import pytest
import yaml
from conftest import ROOT

Document = dict[str, Any]
ID: Final = "_id"
"""Where the documents that are returned here have what becomes their ``_id``."""


def configuration(name: str) -> Any:
    """Return what a configuration in YAML says."""
    return yaml.safe_load((ROOT / "etc" / name).read_text("utf-8"))


# ---------------------------------------------------------------- Filebeat

_BEAT: Final = """
function Event(line) {
  this.fields = {message: line};
}
Event.prototype.Get = function (name) {
  return name.split(".").reduce(function (inner, part) {
    return inner === null || inner[part] === undefined ? null : inner[part];
  }, this.fields);
};
Event.prototype.Put = function (name, value) {
  var parts = name.split(".");
  var inner = this.fields;
  parts.slice(0, -1).forEach(function (part) {
    inner[part] = inner[part] === undefined ? {} : inner[part];
    inner = inner[part];
  });
  inner[parts[parts.length - 1]] = value;
};
Event.prototype.Delete = function (name) { delete this.fields[name]; };
Event.prototype.Tag = function (tag) { this.Put("tags", [tag]); };
JSON.stringify(dukpy.lines.map(function (line) {
  var event = new Event(line);
  process(event);
  return event.fields;
}));
"""


def filebeat(lines: Sequence[str]) -> list[Document]:
    """Return the documents that Filebeat's script and its timestamp processor make."""
    script, timestamp = configuration("filebeat/filebeat.yml")["processors"]
    source = script["script"]["source"]
    made: list[Document] = json.loads(dukpy.evaljs([source, _BEAT], lines=list(lines)))
    field = timestamp["timestamp"]["field"].removeprefix("@metadata.")
    for document in made:
        metadata = document.pop("@metadata", {})
        if field in metadata:
            document["@timestamp"] = metadata[field]
        document[ID] = metadata.get("_id")
    return made


# ---------------------------------------------------------------- Fluent Bit


def fluent_bit(lines: Sequence[str]) -> list[Document]:
    """Return the documents that Fluent Bit's filters make; its JSON parser is Python's here."""
    filters = configuration("fluent-bit/fluent-bit.yaml")["pipeline"]["filters"]
    first, _, second = filters
    lua = lupa.luajit21.LuaRuntime(unpack_returned_tuples=True, encoding=None)
    for code in (first["code"], second["code"]):
        lua.execute(code.encode())
    as_lua = _to_lua(lua)
    documents = []
    for line in lines:
        characters = lua.globals()[first["call"].encode()]
        _, _, record = characters(b"tag", None, as_lua({"log": line}))
        text = record[b"log"].decode()
        try:
            parsed = json.loads(text)
            assert isinstance(parsed, dict)
        except (ValueError, AssertionError):
            parsed = {"log": text}
        parsed["line"] = record[b"line"].decode()
        code, time, made = lua.globals()[second["call"].encode()](b"tag", None, as_lua(parsed))
        document = _from_lua(made)
        if code == 1 and time is not None:
            document["@timestamp"] = (time[b"sec"], time[b"nsec"])
        document[ID] = document.get("event", {}).get("id")
        documents.append(document)
    return documents


def _to_lua(lua: Any) -> Callable[[Any], Any]:
    """Return what makes Lua's values; a list knows that it is one, as Fluent Bit's do."""
    marked = lua.eval(b"function(list) return setmetatable(list, {type = 4}) end")

    def convert(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict):
            known = {key.encode(): convert(each) for key, each in value.items()}
            return lua.table_from({key: each for key, each in known.items() if each is not None})
        if isinstance(value, list):
            return marked(lua.table_from([convert(each) for each in value]))
        return value

    return convert


def _from_lua(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if lupa.luajit21.lua_type(value) != "table":
        return value
    keys = list(value.keys())
    if keys and not isinstance(keys[0], bytes):
        return [_from_lua(value[place + 1]) for place in range(len(keys))]
    # An empty table of ours is a list: no document has an empty object.
    return {key.decode(): _from_lua(value[key]) for key in keys} if keys else []


# ---------------------------------------------------------------- Logstash

_LOGSTASH: Final = r"""
require "json"
require "time"
module LogStash
  class Json
    def self.load(text) = JSON.parse(text)
  end
  class Timestamp
    def initialize(text)
      Time.iso8601(text)
      @text = text
    end
    def to_json(*rest) = @text.to_json(*rest)
  end
end
class Event
  def initialize(line)
    @fields = {"message" => line, "@timestamp" => "now", "@version" => "1",
               "event" => {"original" => line}, "log" => {"file" => {"path" => "p"}}}
  end
  attr_reader :fields
  def parts(name) = name.start_with?("[") ? name.scan(/\[([^\]]+)\]/).flatten : [name]
  def set(name, value)
    *parents, last = parts(name)
    parents.inject(@fields) { |inner, part| inner[part] ||= {} }[last] = value
  end
  def get(name) = @fields[name]
  def remove(name) = @fields.delete(name)
  def to_hash = @fields
end
class Filter
  def register(code) = instance_eval(code)
  def run(event, code) = instance_eval("lambda { |event| #{code} }").call(event)
end
init, code, lines = JSON.parse($stdin.read).values_at("init", "code", "lines")
filter = Filter.new
filter.register(init)
puts JSON.generate(lines.map { |line|
  event = Event.new(line)
  begin
    filter.run(event, code)
  rescue StandardError => error
    event.set("tags", ["_no_record"])
  end
  event.fields
})
"""


def logstash(lines: Sequence[str]) -> list[Document]:
    """Return the documents that Logstash's filter makes."""
    ruby = shutil.which("ruby")
    if ruby is None:
        pytest.skip("no ruby: apt-get install ruby")
    text = (ROOT / "etc/logstash/cowrie-sessionstats.conf").read_text("utf-8")
    given = dict(re.findall(r"(init|code) => '([^']*)'", text))
    done = subprocess.run(
        [ruby, "-e", _LOGSTASH],
        input=json.dumps({**given, "lines": list(lines)}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made: list[Document] = json.loads(done.stdout)
    for document in made:
        document[ID] = document.pop("@metadata", {}).get("id")
    return made


# ---------------------------------------------------------------- Vector


def vector(lines: Sequence[str]) -> list[Document]:
    """Return the documents that Vector's program makes; an empty one for what it drops."""
    source = configuration("vector/vector.yaml")["transforms"]["cowrie_ecs"]["source"]
    runtime = pytest.importorskip("vrl_python").VRLRuntime()
    documents: list[Document] = []
    for line in lines:
        try:
            document = dict(runtime.execute(source, {"message": line}).processed_event)
        except RuntimeError:
            documents.append({})
            continue
        document[ID] = document.get("event", {}).get("id")
        documents.append(document)
    return documents

"""Classes: their bases, the order in which members are looked for, and which of them mean something special."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engram_context.inference.inferred import ClassType, Instance, Outside, TupleOf, TypeOf, as_objects
from engram_context.records import NO_REF

if TYPE_CHECKING:
    from engram_context.inference.members import Types


class Classes:
    """Answers for one `Types`, and keeps what it found."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self._orders: dict[ClassType, tuple[ClassType, ...]] = {}
        self._bases: dict[ClassType, tuple[ClassType, ...]] = {}
        self._protocols: dict[ClassType, bool] = {}

    def order(self, of: ClassType) -> tuple[ClassType, ...]:
        """The method resolution order as far as the classes are known, `object` left out; the class itself is first.

        Bases that C3 cannot order, and classes that inherit from themselves, are taken depth first.
        """
        of = of.bare
        found = self._orders.get(of)
        if found is None:
            self._orders[of] = (of,)
            bases = self.bases(of)
            merged = _merge([list(self.order(base)) for base in bases] + [list(bases)])
            found = self._orders[of] = (of, *(one for one in merged if one != of))
        return found

    def generic_bases(self, of: ClassType) -> tuple[ClassType, ...]:
        """The bases of a class with the arguments it gives them, `object` left out."""
        of = of.bare
        if of not in self._bases:
            self._bases[of] = ()
            record = self.types.resolver.record(of.path)
            found: dict[ClassType, ClassType] = {}
            for ref in () if record is None else record.scopes[of.scope].refs:
                for base in self.types.of_ref(of.path, ref):
                    if isinstance(base, TupleOf):
                        whole = self.types.as_instance(base)
                        base = whole.of if isinstance(whole, Instance) else base
                    elif isinstance(base, TypeOf):
                        base = next(iter(as_objects((base,))), base)
                    if isinstance(base, ClassType) and not self.types.is_library(base, "builtins", "object"):
                        found.setdefault(base.bare, base)
            self._bases[of] = tuple(found.values())
        return self._bases[of]

    def bases(self, of: ClassType) -> tuple[ClassType, ...]:
        return tuple(base.bare for base in self.generic_bases(of))

    def metaclass(self, of: ClassType) -> ClassType | None:
        """The class of a class, None for `type`."""
        for owner in self.order(of):
            record = self.types.resolver.record(owner.path)
            symbol = NO_REF if record is None else record.scopes.symbol[owner.scope]
            if record is not None and symbol >= 0 and record.symbols.value[symbol] != NO_REF:
                found = self.types.of_ref(owner.path, record.symbols.value[symbol])
                return next((one for one in found if isinstance(one, ClassType)), None)
        return None

    def owners(self, receiver: ClassType | Instance) -> tuple[ClassType, ...]:
        """The classes in which a member of something is looked for."""
        order = self.order(ClassType(receiver.path, receiver.scope))
        return order[1:] if isinstance(receiver, Instance) and receiver.above else order

    def last_owners(self, receiver: ClassType | Instance) -> tuple[ClassType, ...]:
        """Those in which it is looked for last: object, and of a class what makes it."""
        found = [self.types.library_class("builtins", "object")]
        if isinstance(receiver, ClassType):
            metaclass = self.metaclass(receiver)
            found.extend(self.order(metaclass) if metaclass is not None else ())
            found.append(self.types.library_class("builtins", "type"))
        return tuple(one for one in found if one is not None)

    def inherits(self, of: ClassType, module: str, name: str) -> bool:
        """Whether a class of the library is one of another class's bases."""
        if not self.bases(of):
            return False
        base = self.types.library_class(module, name)
        return base is not None and base != of.bare and base in self.order(of.bare)

    def is_enum(self, of: ClassType) -> bool:
        return self.inherits(of, "enum", "Enum")

    def is_protocol(self, of: ClassType) -> bool:
        of = of.bare
        if of not in self._protocols:
            self._protocols[of] = self._is_protocol(of)
        return self._protocols[of]

    def _is_protocol(self, of: ClassType) -> bool:
        record = self.types.resolver.record(of.path)
        refs = () if record is None else record.scopes[of.scope].refs
        return any(
            isinstance(one, Outside) and one.name == "typing.Protocol"
            for ref in refs
            for one in self.types.of_ref(of.path, ref)
        )

    def has_methods_of(self, receiver: Instance, protocol: ClassType) -> bool:
        """Whether an object has the names that a protocol's own body defines."""
        record = self.types.resolver.record(protocol.path)
        rows = () if record is None else record.symbols_in(protocol.scope)
        names = {record.names[record.symbols.name[row]] for row in rows} if record is not None else set[str]()
        return all(self.types.slots(receiver, name) for name in names)


def _merge(orders: list[list[ClassType]]) -> list[ClassType]:
    """C3; where that fails, what is left in the order in which it stands."""
    merged: list[ClassType] = []
    orders = [order for order in orders if order]
    while orders:
        head = next(
            (order[0] for order in orders if not any(order[0] in other[1:] for other in orders)),
            orders[0][0],
        )
        merged.append(head)
        orders = [left for order in orders if (left := [one for one in order if one != head])]
    return merged

; JavaScript and TypeScript have these in common. README.md explains the captures.

(comment) @comment

; names
(identifier) @read
(property_identifier) @member
(private_property_identifier) @member
(shorthand_property_identifier) @read
(shorthand_property_identifier_pattern) @read
(this) @read
(object (pair key: (property_identifier) @key))
(object (method_definition name: (property_identifier) @key) @scope.function)
(object_pattern (pair_pattern key: (property_identifier) @key))

; functions
(function_declaration name: (identifier) @define.function) @scope.function
(generator_function_declaration name: (identifier) @define.function) @scope.function
(function_expression name: (identifier)? @define.function.inner) @scope.function
(generator_function name: (identifier)? @define.function.inner) @scope.function
(arrow_function) @scope.function
(arrow_function parameter: (identifier) @define.parameter)

; classes
(class_declaration name: (_) @define.class) @scope.class
(class name: (_)? @define.class.inner) @scope.class
(class_body (method_definition name: (property_identifier) @define.method) @scope.function)
(class_body (method_definition name: (private_property_identifier) @define.method) @scope.function)
(class_body (method_definition name: (computed_property_name)) @scope.function)
(class_body (method_definition name: (string)) @scope.function)

; variables
(statement_block) @scope.block
(switch_body) @scope.block
(for_statement) @scope.block
(for_in_statement) @scope.block
(for_in_statement kind: ["let" "const"] left: (_) @define.variable)
(for_in_statement kind: "var" left: (_) @define.variable.hoist)
(catch_clause) @scope.block
(catch_clause parameter: (_) @define.variable)
(lexical_declaration (variable_declarator name: (_) @define.variable) @body)
(variable_declaration (variable_declarator name: (_) @define.variable.hoist) @body)
(lexical_declaration
  (variable_declarator name: (identifier) @define.function value: [(arrow_function) (function_expression)]) @body)

; what values are
(new_expression constructor: (_) @class) @new
(call_expression function: (_) @callee) @call

; between files
(import_statement) @statement.import
(export_statement) @statement.export
(variable_declarator
  value: (call_expression
    function: (identifier) @_require (#eq? @_require "require")
    arguments: (arguments . (string) .))) @statement.require
(call_expression function: (import) arguments: (arguments . (string) .)) @statement.dynamic
(variable_declarator
  value: (await_expression (call_expression function: (import) arguments: (arguments . (string) .)))) @statement.require
(assignment_expression
  left: (member_expression object: (identifier) @_exports (#eq? @_exports "exports"))) @statement.assign
(assignment_expression
  left: (member_expression
    object: (member_expression object: (identifier) @_module (#eq? @_module "module")))) @statement.assign
(assignment_expression
  left: (member_expression object: (identifier) @_module (#eq? @_module "module"))) @statement.assign

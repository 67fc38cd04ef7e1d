; README.md explains the captures.

(line_comment) @comment
(block_comment) @comment

; names
(identifier) @read
(type_identifier) @type-name
(field_identifier) @member
(self) @read
(super) @read
(crate) @read
(scoped_identifier path: (_) name: (identifier) @member)
(scoped_type_identifier path: (_) name: (type_identifier) @member)
(lifetime (identifier) @ignore)
(label (identifier) @ignore)
(attribute (identifier) @ignore)
(attribute arguments: (token_tree (identifier) @ignore))
(visibility_modifier [(crate) (self) (super)] @ignore)
(struct_expression
  name: (_) @of body: (field_initializer_list (field_initializer field: (field_identifier) @key)))
(struct_pattern type: (_) @of (field_pattern name: (field_identifier) @key))
(token_tree (identifier) @statement.token)
(token_tree (string_literal (string_content) @statement.format))

; between modules
(use_declaration argument: (_) @statement.use)
(mod_item name: (identifier) @define.namespace) @body
(mod_item name: (identifier) @define.namespace body: (declaration_list)) @scope.namespace
(extern_crate_declaration) @statement.extern

; functions
(function_item name: (identifier) @define.function) @scope.function
(function_signature_item name: (identifier) @define.function) @scope.function
(impl_item body: (declaration_list (function_item name: (identifier) @define.method) @scope.function))
(trait_item body: (declaration_list (function_item name: (identifier) @define.method) @scope.function))
(trait_item body: (declaration_list (function_signature_item name: (identifier) @define.method) @scope.function))
(closure_expression) @scope.function
(closure_parameters (_) @define.parameter)
(parameter pattern: (_) @define.parameter) @body
(macro_definition name: (identifier) @define.function) @body

; types
(struct_item name: (_) @define.struct) @scope.class
(union_item name: (_) @define.struct) @scope.class
(enum_item name: (_) @define.enum) @scope.class
(enum_variant name: (identifier) @define.constant) @body
(enum_variant name: (identifier) @define.struct body: (field_declaration_list)) @scope.class
(trait_item name: (_) @define.interface) @scope.class
(trait_item bounds: (trait_bounds (_) @extends))
(impl_item type: (_) @owner) @scope.class
(impl_item trait: (_) @extends)
(type_item name: (_) @define.type-alias) @scope.block
(associated_type name: (_) @define.type-alias) @body
(field_declaration name: (field_identifier) @define.attribute.member) @body
(type_parameter name: (_) @define.type-parameter)
(const_parameter name: (_) @define.type-parameter)

; variables: what `let` binds is seen behind it
(const_item name: (identifier) @define.constant) @body
(static_item name: (identifier) @define.constant) @body
(block) @scope.block
(block (let_declaration pattern: (_) @define.variable) @from @body) @until
(if_expression condition: (let_condition pattern: (_) @define.variable) @from @body consequence: (_) @until)
(if_expression
  condition: (let_chain (let_condition pattern: (_) @define.variable) @from @body) consequence: (_) @until)
(while_expression condition: (let_condition pattern: (_) @define.variable) @from @body body: (_) @until)
(while_expression
  condition: (let_chain (let_condition pattern: (_) @define.variable) @from @body) body: (_) @until)
(for_expression pattern: (_) @define.variable value: (_) @from body: (_) @until)
(match_arm) @scope.block
(match_arm pattern: (match_pattern . (_) @define.variable))

; what values are
(struct_expression name: (_) @class) @new
(call_expression function: (_) @callee) @call

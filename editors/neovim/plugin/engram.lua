require("engram.load")
